"""The truth: which bytes are on which disk, what each peer says that it holds, and what was lost through whom."""

from collections import Counter
from typing import Literal

import numpy as np
import numpy.typing as npt

from node.replication.board import Rows

Cause = Literal["rot", "disk", "death", "release"]


class World:
    """Disks and claims of `peers` over `images`; a peer is a number.

    Attributes:
        disk: by peer and image: the bytes are there and good.
        claim: by peer and image: its holdings say so.
        copies: good copies of each image on disks that exist.
        shorted: images of which a release left fewer than `factor` good copies, and that have not had so many since.
        lost: images without a good copy, by what took the last one.
        lost_by_us: those lost by a release, or after one that had left too few.
    """

    def __init__(self, peers: int, sizes_bytes: npt.NDArray[np.int64], factor: int) -> None:
        images = len(sizes_bytes)
        self.factor = factor
        self.sizes_bytes = sizes_bytes
        self.disk = np.zeros((peers, images), dtype=np.bool_)
        self.claim = np.zeros((peers, images), dtype=np.bool_)
        self.copies = np.zeros(images, dtype=np.int16)
        self.used_bytes = np.zeros(peers, dtype=np.int64)
        self.shorted = np.zeros(images, dtype=np.bool_)
        self.is_lost = np.zeros(images, dtype=np.bool_)
        self.lost: Counter[Cause] = Counter()
        self.lost_by_us = 0
        self.short_releases = 0
        self.lost_bytes = 0

    def hold(self, peers: Rows, images: Rows) -> None:
        """Whole copies are made and claimed; each pair once, and none that is there already."""
        new = ~self.disk[peers, images]
        self.disk[peers, images] = self.claim[peers, images] = True
        np.add.at(self.copies, images[new], 1)
        np.add.at(self.used_bytes, peers, self.sizes_bytes[images])
        self.shorted[images[self.copies[images] >= self.factor]] = False

    def spoil(self, peers: Rows, images: Rows, cause: Cause) -> Rows:
        """Good bytes go and the claims stay; the images lost by that."""
        peers, images = peers[good := self.disk[peers, images]], images[good]
        self.disk[peers, images] = False
        np.subtract.at(self.copies, images, 1)
        if cause in ("disk", "death"):
            self.lost_bytes += int(self.sizes_bytes[images].sum())
        gone = np.unique(images[(self.copies[images] <= 0) & ~self.is_lost[images]])
        self.is_lost[gone] = True
        self.lost[cause] += len(gone)
        self.lost_by_us += len(gone) if cause == "release" else int(self.shorted[gone].sum())
        return gone

    def unclaim(self, peers: Rows, images: Rows) -> None:
        """Peers take back what they said."""
        held = self.claim[peers, images]
        self.claim[peers, images] = False
        np.subtract.at(self.used_bytes, peers[held], self.sizes_bytes[images[held]])

    def release(self, peers: Rows, images: Rows) -> Rows:
        """Copies are let go; the images lost by that."""
        good = self.disk[peers, images]
        self.unclaim(peers, images)
        lost = self.spoil(peers, images, "release")
        short = images[good & (self.copies[images] < self.factor)]
        self.short_releases += len(short)
        self.shorted[short] = True
        return lost
