"""What this peer says of itself in its heartbeats: room, use, stores, state."""

import logging
import math
import shutil
import time
from collections.abc import Callable

from node.config import Config
from node.kinds import EMBEDDED
from node.offering import Offering
from node.replication.view import says_full
from node.standing_orders import StandingOrders
from node.swarm.speaking import Description
from protocol.beat import BackendReport
from store.errors import StoreError
from store.store import Store

log = logging.getLogger("pinakothek.daemon")

REFUSED_S = 600.0
"""How long a disk that refused counts as full: then it is tried again. Guess."""
ROOM_MADE_BYTES = 64 << 20
"""A disk with this much more to give than when it refused is tried at once: somebody has made room. Guess."""


class SelfDescription:
    """Describes one peer.

    Attributes:
        capacity_bytes: what it offers: the operator's word, else what the disk has and what is stored already.
        crowded_out: the last plan had a root for this peer that does not fit.
        repair_now_ms: when its operator last said `repair --now`, if that is less than a day ago.
        unsynced_since_ms: when it was last in touch, if that is too long ago.
        zone: its failure domain, empty for none.
        has_left: whether it has said that it left the swarm.
    """

    def __init__(self, store: Store, config: Config, orders: StandingOrders, offering: Offering) -> None:
        self._store = store
        self._offering = offering
        self._orders = orders
        self.zone = config.zone
        self.has_left: Callable[[], bool] = lambda: False
        self._data_dir = config.data_dir
        self.capacity_bytes = config.capacity_bytes or store.used_bytes_everywhere() + self.disk_free_bytes()
        self.crowded_out = False
        self.repair_now_ms: Callable[[], int | None] = lambda: None
        self.unsynced_since_ms: Callable[[], int | None] = lambda: None
        self._full = False
        self._used_bytes = store.used_bytes_everywhere()
        self._refused_until_s = -math.inf
        self._refusal = ""
        self._free_then_bytes = 0

    @property
    def state(self) -> str:
        """Its own word, of `protocol.beat.STATES`."""
        if self._store.rebuilt:
            return "recovering"
        if self.has_left():
            return "leaving"
        if self._orders.drain_to is not None:
            return "draining"
        return "away" if self._orders.away_until_ms is not None else "active"

    @property
    def no_promises(self) -> str:
        """Why this peer promises nobody to keep a root, or ""."""
        return f"this peer is {self.state}" if self.state in ("draining", "leaving") else ""

    def disk_refused(self, reason: str) -> None:
        """The disk has just refused to take a root: whoever plans had better look elsewhere for a while."""
        self._refused_until_s = time.monotonic() + REFUSED_S
        self._refusal = reason
        self._free_then_bytes = self.disk_free_bytes()

    @property
    def refusal(self) -> str | None:
        """Why the disk refused lately, None if it did not, or has room again since."""
        if time.monotonic() >= self._refused_until_s:
            return None
        if self.disk_free_bytes() >= self._free_then_bytes + ROOM_MADE_BYTES:
            self._refused_until_s = -math.inf
            return None
        return self._refusal

    def disk_free_bytes(self) -> int:
        """What the file system under the data directory has left for us."""
        try:
            return shutil.disk_usage(self._data_dir).free
        except OSError:
            return 0

    def free_bytes(self) -> int:
        """What may still be stored: the rest of the capacity, or of the disk if that is less."""
        return max(0, min(self.capacity_bytes - self._measured(), self.disk_free_bytes()))

    def _measured(self) -> int:
        """Bytes used; a store that cannot say counts as one that refuses."""
        try:
            self._used_bytes = self._store.used_bytes_everywhere()
        except StoreError as error:
            if self.refusal is None:
                log.warning("the store cannot be read: %s", error)
            self.disk_refused(str(error))
        return self._used_bytes

    def describe(self) -> Description:
        """All of it, as of now."""
        used_bytes = self._measured()
        room_bytes = min(self.capacity_bytes, used_bytes + self.disk_free_bytes())
        self._full = says_full(used_bytes, room_bytes, said_full=self._full, crowded_out=self.crowded_out)
        state = self.state
        return Description(
            state=state,
            zone=self.zone,
            away_until_ms=self._orders.away_until_ms if state == "away" else None,
            capacity_bytes=self.capacity_bytes,
            used_bytes=used_bytes,
            backends=tuple(self._report(kind) for kind in self._offering.kinds),
            repair_now_ms=self.repair_now_ms(),
            unsynced_since_ms=self.unsynced_since_ms(),
        )

    def _report(self, kind: str) -> BackendReport:
        """A store, full where its own disk or this peer's capacity is; a root passes through the embedded one's disk."""
        full = self._full or self.refusal is not None
        if kind != EMBEDDED:
            full |= self._offering.is_full(kind)
        return BackendReport(kind=kind, store_id=self._offering.store_id(kind), full=full)
