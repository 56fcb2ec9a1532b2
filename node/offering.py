"""Which kinds of backend this peer offers, and how each of them is: what beats, intake, plans and receipts go by.

The embedded store is always there; whether flows may use it the operator says. Another kind is offered once it is
configured, allowed, known by its store id, and well.
"""

import math
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import trio

from node.kinds import EMBEDDED, KINDS
from store.backends import Backend, Health
from store.backends.wrapped import Wrapped
from store.errors import NotInBackend, StoreError
from store.store import Store

FACT = "store_id/"
NOT_REACHED = "not reached yet"
LEAST_FREE_BYTES = 256 << 20
"""Below this a backend that says what it has left is full: a large image has to fit, and what is half written. Guess."""
FULL_S = 600.0
"""How long a backend that had no room counts as full: then it is tried again. Guess."""


@dataclass(slots=True)
class Place:
    """One backend beside the embedded store.

    Attributes:
        store_id: as the backend, or the last start that reached it, says; None before the first time.
        trouble: why nothing can be put there or read now; not looked at yet is trouble as well.
        free_bytes: what it has left; None where it does not say.
        full_until_s: until then it counts as full, monotonic: it has refused something for want of room.
        calls: how many of our own looks may be under way; one that never ends must not take threads from others.
    """

    backend: Backend
    store_id: str | None
    trouble: str = NOT_REACHED
    free_bytes: int | None = None
    full_until_s: float = -math.inf
    calls: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(2))

    @property
    def bare(self) -> Backend:
        """The backend without retries and turns: a look is there to find out, and whoever waits learns it too late."""
        backend = self.backend
        while isinstance(backend, Wrapped):
            backend = backend.within
        return backend


class Offering:
    """The stores of one peer.

    Args:
        backends: those beside the embedded one, by kind.
        allowed: the kinds that flows may use here; None: all.
    """

    def __init__(self, store: Store, backends: Mapping[str, Backend], allowed: Iterable[str] | None = None) -> None:
        self._store = store
        self._allowed = frozenset(KINDS if allowed is None else allowed)
        self._embedded_id = store.store_id
        self.places = {kind: Place(backend, _known_id(store, kind)) for kind, backend in sorted(backends.items())}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that this peer keeps replicas on now, the embedded one first."""
        # At the start one that was known is taken to be well: others must not take its store for another one meanwhile.
        well = {k for k, p in self.places.items() if p.store_id is not None and p.trouble in ("", NOT_REACHED)}
        return tuple(kind for kind in KINDS if kind in self._allowed and (kind == EMBEDDED or kind in well))

    @property
    def default(self) -> str:
        """Where the images of a flow go that names no backend."""
        usable = [kind for kind in KINDS if kind in self._allowed and (kind == EMBEDDED or kind in self.places)]
        return usable[0] if usable else EMBEDDED

    def store_id(self, kind: str) -> str:
        """The id of the store behind a kind, "" where this peer has none."""
        if kind == EMBEDDED:
            return self._embedded_id
        place = self.places.get(kind)
        return (place.store_id or "") if place is not None else ""

    def is_full(self, kind: str) -> bool:
        """Whether a backend beside the embedded one has next to nothing left."""
        place = self.places[kind]
        little = place.free_bytes is not None and place.free_bytes < LEAST_FREE_BYTES
        return little or time.monotonic() < place.full_until_s

    def had_no_room(self, kind: str) -> None:
        """A backend has refused something, most often for want of room: others had better be named for a while."""
        self.places[kind].full_until_s = time.monotonic() + FULL_S

    def keeps_on(self, kind: str, root: bytes) -> str:
        """Where this peer keeps a root that it takes in for a kind: there, or embedded, as a source for who offers it."""
        if kind == EMBEDDED or kind not in self.kinds:
            return EMBEDDED
        usable = not self.places[kind].trouble and not self._store.kinds.is_promised(root, kind)
        return kind if usable else EMBEDDED

    async def look(self, kind: str, patience_s: float) -> str | None:
        """Ask a backend how it is; returns the id of its store where that is another one now: then `replace` has to follow.

        A call that takes longer than `patience_s` goes on in its thread, and counts as trouble.

        Raises:
            StoreError: the id cannot be remembered.
        """
        place = self.places[kind]
        found: tuple[str, Health] | str = f"no answer within {patience_s:.0f} s"
        with trio.move_on_after(patience_s):
            found = await trio.to_thread.run_sync(_asked, place, abandon_on_cancel=True, limiter=place.calls)
        if isinstance(found, str):
            place.trouble = found
            return None
        store_id, health = found
        if place.store_id not in (None, store_id):
            place.trouble = f"{place.backend.place} is another store than before"
            return store_id
        await self._is_well(kind, store_id)
        place.free_bytes = health.free_bytes
        return None

    async def replace(self, kind: str, store_id: str) -> None:
        """A backend is another store now, and what was held in the one before is retracted.

        Nothing of what lay there is looked for, or erased, in the new one; not before that is durable is its id remembered.

        Raises:
            StoreError: the catalogue refuses; the next look finds another store again.
        """
        await trio.to_thread.run_sync(self._store.kinds.forget, kind)
        await self._is_well(kind, store_id)

    async def _is_well(self, kind: str, store_id: str) -> None:
        place = self.places[kind]
        if store_id != place.store_id:
            await trio.to_thread.run_sync(self._store.set_fact, FACT + kind, store_id.encode())
        place.store_id, place.trouble = store_id, ""
        self._store.kinds.set_trouble(kind, "")

    def give_up(self, kind: str) -> None:
        """Let nobody wait for a backend that is in trouble, until a look finds it well."""
        self._store.kinds.set_trouble(kind, self.places[kind].trouble)


def _known_id(store: Store, kind: str) -> str | None:
    fact = store.fact(FACT + kind)
    return None if fact is None else fact.decode()


def _asked(place: Place) -> tuple[str, Health] | str:
    """The id and health of a backend, or what is wrong with it (in a thread).

    An id is given once: a store that had one and has none now is an empty mount point, or not the store it was.
    """
    try:
        store_id = place.bare.store_id(None if place.store_id else secrets.token_hex(16))
        return store_id, place.bare.health()
    except NotInBackend:
        return f"{place.backend.place}: not the store it was: it has lost its id"
    except StoreError as error:
        return str(error)
