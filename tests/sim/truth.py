"""What is so, whatever the peers believe: whole copies on disks, and what was lost and by whom.

A *copy* is whole when its root is in its disk's catalogue and every block of it is on that disk as it should be. It is
*listed* when nobody can know better: a scrub, an audit or another read of a block that is not as it should be ends that.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import trio

from tests.sim.disk import Disk

RECENT_S = 90.0
"""A copy that a fault spoilt within a release's round counts as held by whoever granted: no lease can foresee it."""


@dataclass(slots=True)
class Image:
    """One root. `short_since_s`: since when fewer live copies than `max` are there; `under_since_s`: than `min`."""

    cids: tuple[bytes, ...]
    size_bytes: int
    factor: tuple[int, int]
    short_since_s: float | None = None
    under_since_s: float | None = None


class Truth:
    """The count.

    Attributes:
        copies: peers with a whole copy, up or not.
        released: releases of whole copies; `short_releases`: those that left fewer than `max`; `lost_by_release`: none.
        lost_by_fault: images of which a fault took the last copy.
        spoilt_bytes: of copies that faults took.
        short_s, under_s: image-seconds below `max`, and below `min`.
    """

    def __init__(self) -> None:
        self.images: dict[bytes, Image] = {}
        self.disks: dict[str, Disk] = {}
        self.up: set[str] = set()
        self.copies: dict[bytes, set[str]] = {}
        self.ever: set[bytes] = set()
        self._spoilt_s: dict[tuple[bytes, str], float] = {}
        self.released = self.spoilt_bytes = self.copied = 0
        self.short_s = self.under_s = 0.0
        self.short_releases: list[str] = []
        self.lost_by_release: list[bytes] = []
        self.lost_by_fault: list[bytes] = []

    def add(self, root: bytes, image: Image) -> None:
        self.images[root] = image
        self.copies[root] = set()

    def watch(self, peer: str, disk: Disk) -> None:
        """A disk is there."""
        self.disks[peer] = disk
        disk.on_change = lambda roots: self._look(peer, disk, roots)

    def destroy(self, peer: str) -> None:
        """A disk is there no more."""
        disk = self.disks.pop(peer)
        disk.on_change = lambda roots: None
        for root in [root for root, peers in self.copies.items() if peer in peers]:
            self._set(root, peer, whole=False, by_fault=True)

    def is_up(self, peer: str, up: bool) -> None:
        (self.up.add if up else self.up.discard)(peer)
        for root, peers in self.copies.items():
            if peer in peers:
                self._measure(root)

    def live(self, root: bytes) -> int:
        return len(self.copies[root] & self.up)

    def whole(self, disk: Disk, root: bytes) -> bool:
        if (root, "ipfs") not in disk.held:
            return False
        blocks = (disk.blocks.get(cid) for cid in self.images[root].cids)
        return not disk.unreadable and not disk.lies and all(block is not None and block.intact for block in blocks)

    def listed(self, root: bytes) -> set[str]:
        """Peers with a copy of which nobody has found anything wrong, whole or not, up or not."""
        return {peer for peer, disk in self.disks.items() if not disk.lies and self._is_listed(disk, root)}

    def _is_listed(self, disk: Disk, root: bytes) -> bool:
        if (root, "ipfs") not in disk.held:
            return False
        blocks = (disk.blocks.get(cid) for cid in self.images[root].cids)
        return all(block is not None and block.data is not None for block in blocks)

    def rot_unfound(self) -> int:
        """Copies that are listed and not whole."""
        return sum(len(self.listed(root) - peers) for root, peers in self.copies.items())

    def _look(self, peer: str, disk: Disk, roots: Iterable[bytes]) -> None:
        for root in roots:
            if root in self.images:
                self._set(root, peer, whole=self.whole(disk, root), by_fault=True)

    def _set(self, root: bytes, peer: str, *, whole: bool, by_fault: bool) -> None:
        peers = self.copies[root]
        if whole and peer not in peers:
            self.copied += root in self.ever
            self.ever.add(root)
            peers.add(peer)
        elif not whole and peer in peers:
            peers.discard(peer)
            if by_fault:
                self._spoilt_s[root, peer] = trio.current_time()
                self.spoilt_bytes += self.images[root].size_bytes
                if not peers:
                    self.lost_by_fault.append(root)
        self._measure(root)

    def release(self, peer: str, root: bytes) -> None:
        """A peer has just let a root go, durably; `Disk.held` does not name it any more."""
        if root not in self.images or peer not in self.copies[root]:
            return
        self._set(root, peer, whole=False, by_fault=False)
        self.released += 1
        now_s = trio.current_time()
        recent = {p for (r, p), at_s in self._spoilt_s.items() if r == root and now_s - at_s < RECENT_S}
        left = self.copies[root] | (recent - {peer})
        if len(left) < self.images[root].factor[1]:
            self.short_releases.append(f"{now_s:.1f} s: {peer} let {root.hex()[-8:]} go and {len(left)} are left")
        if not left:
            self.lost_by_release.append(root)

    def _measure(self, root: bytes) -> None:
        """Keep the account of how long the image is short of copies."""
        image, now_s = self.images[root], trio.current_time()
        live = self.live(root) if root in self.ever else image.factor[1]
        if image.short_since_s is not None:
            self.short_s += now_s - image.short_since_s
        if image.under_since_s is not None:
            self.under_s += now_s - image.under_since_s
        image.short_since_s = now_s if live < image.factor[1] else None
        image.under_since_s = now_s if live < image.factor[0] else None

    def settle(self) -> None:
        """Bring the account up to now."""
        for root in self.images:
            self._measure(root)
