"""What this peer says of itself in its heartbeats: room, use, stores, state."""

import shutil

from node.config import Config
from node.replication.view import says_full
from node.swarm.speaking import Description
from protocol.beat import BackendReport
from store.store import Store

KIND = "ipfs"


class SelfDescription:
    """Describes one peer.

    Attributes:
        capacity_bytes: what it offers: the operator's word, else what the disk has and what is stored already.
        state: its own word, of `protocol.beat.STATES`.
        crowded_out: the last plan had a root for this peer that does not fit.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._data_dir = config.data_dir
        self.capacity_bytes = config.capacity_bytes or store.used_bytes() + self.disk_free_bytes()
        self.state = "active"
        self.crowded_out = False
        self._full = False

    def disk_free_bytes(self) -> int:
        """What the file system under the data directory has left for us."""
        return shutil.disk_usage(self._data_dir).free

    def free_bytes(self) -> int:
        """What may still be stored: the rest of the capacity, or of the disk if that is less."""
        return max(0, min(self.capacity_bytes - self._store.used_bytes(), self.disk_free_bytes()))

    def describe(self) -> Description:
        """All of it, as of now."""
        used_bytes = self._store.used_bytes()
        self._full = says_full(used_bytes, self.capacity_bytes, said_full=self._full, crowded_out=self.crowded_out)
        return Description(
            state=self.state,
            capacity_bytes=self.capacity_bytes,
            used_bytes=used_bytes,
            backends=(BackendReport(kind=KIND, store_id=self._store.store_id, full=self._full),),
        )
