"""Tell once of each root that is lost, sought, or found again."""

from collections.abc import Callable

from node.events import Events
from node.quantities import plural
from node.replication.outlook import Outlook
from node.replication.view import RootKey
from node.replication.weighing import Standing
from store.cid import cid_text

WATCHED: tuple[Standing, ...] = ("lost", "sought")
MOST_TOLD = 500
"""Events at one look: half of what is kept for whoever reads late. The rest is told as a number."""
ROOTS_A_LOOK = 5000
"""Looks left out after one that found more than so many: while a joiner learns of 100,000 roots, all of them are sought,
and a look at them takes a fifth of a second."""
WHAT = {"lost": "no live peer holds a copy", "sought": "no peer has had it yet"}


class Vigil:
    """Watches an outlook.

    Args:
        blocked: why nothing may be concluded now, or None: after a start nobody's holdings are known.
    """

    def __init__(self, outlook: Outlook, events: Events, *, blocked: Callable[[], str | None]) -> None:
        self._outlook = outlook
        self._events = events
        self._blocked = blocked
        self._told: dict[RootKey, Standing] = {}
        self._news = True
        self._rest_looks = 0
        outlook.listeners.append(self._planned)

    def _planned(self, keys: object) -> None:
        self._news = True

    def look(self) -> None:
        """Tell what is new; call it every second. It costs what is lost or sought, not what there is."""
        if self._rest_looks > 0:
            self._rest_looks -= 1
            return
        if not self._news or self._blocked() is not None:
            return
        self._news = False
        now: dict[RootKey, Standing] = {key: word for word in WATCHED for key in self._outlook.keys_of(word)}
        for word in WATCHED:
            self._tell(word, [key for key, standing in now.items() if standing == word != self._told.get(key)])
        self._tell_found([key for key in self._told if key not in now and self._outlook.standing_of(key) is not None])
        self._told = now
        self._rest_looks = len(now) // ROOTS_A_LOOK

    def _tell(self, word: Standing, keys: list[RootKey]) -> None:
        for key in keys[:MOST_TOLD]:
            self._events.tell(word, root=cid_text(key.root), detail=WHAT[word])
        if len(keys) > MOST_TOLD:
            self._events.tell(word, detail=f"{plural(len(keys) - MOST_TOLD, 'root')} more")

    def _tell_found(self, keys: list[RootKey]) -> None:
        for key in keys[:MOST_TOLD]:
            self._events.tell("found", root=cid_text(key.root), detail=f"was {self._told[key]}")
        if len(keys) > MOST_TOLD:
            self._events.tell("found", detail=f"{plural(len(keys) - MOST_TOLD, 'root')} more")
