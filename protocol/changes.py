"""What `protocol.recordset` answers: what became of a record, what that changed, and what a root's pins want."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from protocol.records import Record, Signed


class Status(Enum):
    """What became of a merged record."""

    COUNTS = "counts"
    KEPT = "kept"
    KNOWN = "known"
    STALE = "stale"
    HELD_BACK = "held back"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a call changed, for those who must act on it.

    Attributes:
        roots: whose live pins or factor changed.
        flows: names whose flow record changed.
        roles: some peer's standing changed.
        charter: another charter holds; every factor may have changed.
        stored: records to write durably, under `Signed.storage_key`, before the change is acted on.
        forgotten: storage keys that nothing needs any more.
        replaced: pins that counted before; their keys name something else now, or nothing that counts.
    """

    roots: frozenset[bytes] = frozenset()
    flows: frozenset[str] = frozenset()
    roles: bool = False
    charter: bool = False
    stored: tuple[Signed[Record], ...] = ()
    forgotten: tuple[bytes, ...] = ()
    replaced: tuple[Signed[Record], ...] = ()


NOTHING: Final = Changes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The outcome of one merge.

    Attributes:
        status: what became of the record; with `COUNTS` and `KEPT` it is new here.
        reason: why, where it was refused, held back or kept without a role for it; else empty.
        changes: see `Changes`.
        later: where the author's later word made it stale and does not count, that word: sync brings it to nobody, and
            whoever has not heard it would go on with this record for ever.
    """

    status: Status
    reason: str = ""
    changes: Changes = NOTHING
    later: Signed[Record] | None = None

    @property
    def changed_roots(self) -> frozenset[bytes]:
        return self.changes.roots

    @property
    def changed_roles(self) -> bool:
        return self.changes.roles

    @property
    def relay(self) -> bool:
        """The record is new and counts: others should have it."""
        return self.status is Status.COUNTS


COUNTED: Final = Merged(status=Status.COUNTS)
KNOWN: Final = Merged(status=Status.KNOWN)
"""What becomes of nearly every record."""


def later_words(outcomes: Iterable[Merged], room_bytes: int) -> list[Signed[Record]]:
    """What is to be passed on to those who have not heard it: one word at least, else not more than came.

    Who answers a sync with one short record a thousand times must not have us tell all members a long one as often.
    """
    words: list[Signed[Record]] = []
    for word in dict.fromkeys(merged.later for merged in outcomes if merged.later is not None):
        room_bytes -= len(word.raw)
        if words and room_bytes < 0:
            break  # the next sync brings on the others
        words.append(word)
    return words


class Wanted(NamedTuple):
    """How many copies of a root its live pins want.

    Attributes:
        min, max: the largest of each over the pins, within the charter's bounds.
        kinds: backends that the pins name, in order.
    """

    min: int
    max: int
    kinds: tuple[str, ...]


class Journal:
    """Collects what one call changes; of each storage key only what became of it last."""

    __slots__ = ("_forgotten", "_replaced", "_stored", "charter", "flows", "roles", "roots")

    def __init__(self) -> None:
        self.roots: set[bytes] = set()
        self.flows: set[str] = set()
        self.roles = self.charter = False
        self._stored: dict[bytes, Signed[Record]] = {}
        self._forgotten: set[bytes] = set()
        self._replaced: dict[bytes, Signed[Record]] = {}

    def store(self, signed: Signed[Record]) -> None:
        """This record must be written."""
        key = signed.storage_key
        self._stored[key] = signed
        if self._forgotten:
            self._forgotten.discard(key)

    def forget(self, key: bytes) -> None:
        """Nothing needs what is stored under this key."""
        self._stored.pop(key, None)
        self._forgotten.add(key)

    def replace(self, signed: Signed[Record]) -> None:
        """This counts no longer; of each key what counted first is remembered."""
        self._replaced.setdefault(signed.key, signed)

    def close(self) -> Changes:
        return Changes(
            roots=frozenset(self.roots),
            flows=frozenset(self.flows),
            roles=self.roles,
            charter=self.charter,
            stored=tuple(self._stored.values()),
            forgotten=tuple(self._forgotten),
            replaced=tuple(self._replaced.values()),
        )
