"""What one peer wants of us, and what is to be sent to it next.

Holds CIDs, never blocks: a peer that wants everything and reads nothing costs a bounded number of entries. Pure: the
caller says how large a block is, and reads it only when a stream is free to carry it.

1. A want for a block we hold is queued; one we lack is answered with DONT_HAVE if asked, and kept until it is cancelled,
   answered by `arrived`, or pushed out by newer ones.
2. A want for a HAVE is answered with HAVE, or with the block itself when that is hardly larger.
3. A block leaves the ledger when it is `sent`.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

from protocol.net.bitswap_wire import Want

MAX_WANTS = 1024
"""Entries remembered for one peer. Source: boxo, `defaultMaxQueuedWantlistEntriesPerPeer`."""
SMALL_BLOCK_BYTES = 1024
"""Up to here a block goes out in place of its HAVE. Source: boxo, `defaultWantHaveReplaceSize`."""
MAX_TRIES = 3
"""Streams that may fail under a block before the peer has to ask again. Guess."""


class Queued(NamedTuple):
    """A block to be sent."""

    cid: bytes
    size_bytes: int


class Ledger:
    """The wants of one peer."""

    def __init__(self, max_wants: int = MAX_WANTS) -> None:
        self._max_wants = max_wants
        self._absent: dict[bytes, Want] = {}
        self._queue: dict[bytes, int] = {}
        self._sending: dict[bytes, int] = {}
        self._wants: dict[bytes, Want] = {}
        self._presences: dict[bytes, bool] = {}
        self._tries: dict[bytes, int] = {}
        self.dropped_count = 0
        """Wants that found the ledger full."""

    @property
    def queued_count(self) -> int:
        """Blocks waiting for a stream."""
        return len(self._queue)

    @property
    def wants_count(self) -> int:
        """Everything held for this peer: bounded by `max_wants`."""
        return len(self._absent) + len(self._queue) + len(self._sending)

    @property
    def has_presences(self) -> bool:
        """Whether a HAVE or DONT_HAVE waits to be sent."""
        return bool(self._presences)

    @property
    def waits(self) -> bool:
        """Whether the peer waits for any block we lack."""
        return bool(self._absent)

    def is_waiting(self, cid: bytes) -> bool:
        """Whether the peer waits for this block, which we lack."""
        return cid in self._absent

    def receive(self, wants: Iterable[Want], *, full: bool, size_of: Callable[[bytes], int | None]) -> None:
        """Take a wantlist, or a change of one. `size_of` gives a block's bytes, None for one that is not served."""
        wants = list(wants)
        if full:
            self._keep_only({want.cid for want in wants if not want.cancel})
        for want in wants:
            if want.cancel:
                self._forget(want.cid)
            elif want.cid not in self._queue and want.cid not in self._sending:
                self._answer(want, size_of(want.cid))

    def arrived(self, cid: bytes, size_bytes: int) -> bool:
        """A block has come into the store: queue it if this peer still waits for it, and say whether it does."""
        want = self._absent.get(cid)
        if want is None:
            return False
        self._answer(want, size_bytes)
        return True

    def take_presences(self, limit: int) -> tuple[list[bytes], list[bytes]]:
        """Remove up to `limit` answers and return them: the CIDs we have, and those we have not."""
        taken = list(islice(self._presences.items(), limit))
        for cid, _ in taken:
            del self._presences[cid]
        return [cid for cid, here in taken if here], [cid for cid, here in taken if not here]

    def take_blocks(self, max_bytes: int) -> list[Queued]:
        """Move the next block to *sending*, and more behind it while they fit `max_bytes` together."""
        taken: list[Queued] = []
        total_bytes = 0
        for cid, size_bytes in self._queue.items():
            total_bytes += size_bytes
            if taken and total_bytes > max_bytes:
                break
            taken.append(Queued(cid, size_bytes))
        for cid, size_bytes in taken:
            del self._queue[cid]
            self._sending[cid] = size_bytes
        return taken

    def sent(self, cid: bytes) -> None:
        """The block is with the peer."""
        self._sending.pop(cid, None)
        self._done(cid)

    def failed(self, cid: bytes) -> None:
        """The stream broke under the block: queue it again, a few times."""
        size_bytes = self._sending.pop(cid, None)
        if size_bytes is None:
            return
        tries = self._tries.get(cid, 0) + 1
        if tries < MAX_TRIES:
            self._tries[cid] = tries
            self._queue[cid] = size_bytes
        else:
            self._done(cid)

    def vanished(self, cid: bytes) -> None:
        """The block was here when it was wanted, but no longer."""
        if self._sending.pop(cid, None) is None:
            return
        want = self._wants[cid]
        self._done(cid)
        self._answer(want, None)

    def is_wanted(self, cid: bytes) -> bool:
        """Whether a block that was taken has not been cancelled since."""
        return cid in self._sending

    def _answer(self, want: Want, size_bytes: int | None) -> None:
        if size_bytes is None:
            if self._has_room(want.cid):
                self._absent[want.cid] = want
            if want.dont_have and self._may_say(want.cid):
                self._presences[want.cid] = False
            return
        self._absent.pop(want.cid, None)
        if not want.block and size_bytes > SMALL_BLOCK_BYTES:
            if self._may_say(want.cid):
                self._presences[want.cid] = True
        elif self._has_room(want.cid):
            self._presences.pop(want.cid, None)
            self._queue[want.cid] = size_bytes
            self._wants[want.cid] = want

    def _has_room(self, cid: bytes) -> bool:
        """Make room by forgetting the oldest want for a block we lack: that peer has its answer already."""
        if self.wants_count < self._max_wants or cid in self._absent:
            return True
        if self._absent:
            del self._absent[next(iter(self._absent))]
            return True
        self.dropped_count += 1
        return False

    def _may_say(self, cid: bytes) -> bool:
        if len(self._presences) < self._max_wants or cid in self._presences:
            return True
        self.dropped_count += 1
        return False

    def _keep_only(self, wanted: set[bytes]) -> None:
        for held in (self._absent, self._queue, self._sending, self._presences):
            for cid in [cid for cid in held if cid not in wanted]:
                self._forget(cid)

    def _forget(self, cid: bytes) -> None:
        self._absent.pop(cid, None)
        self._queue.pop(cid, None)
        self._sending.pop(cid, None)
        self._presences.pop(cid, None)
        self._done(cid)

    def _done(self, cid: bytes) -> None:
        self._wants.pop(cid, None)
        self._tries.pop(cid, None)
