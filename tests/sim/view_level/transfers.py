"""Copies under way: every peer fetches one after another, the most urgent first, at the speed of its line."""

import numpy as np
import numpy.typing as npt

from node.replication.board import Rows

_TURN = (1 << 40) - 1


class Transfers:
    """The queues of all peers of one side, as one table in order of (peer, urgency, turn).

    Attributes:
        moved_bytes: received so far, those of fetches that were given up included.
    """

    def __init__(self, peers: int, sizes_bytes: npt.NDArray[np.int64], bytes_per_s: float) -> None:
        self._sizes_bytes = sizes_bytes
        self._bytes_per_s = bytes_per_s
        self._images = len(sizes_bytes)
        self._codes = np.zeros(0, dtype=np.int64)  # peer * images + image
        self._ranks = np.zeros(0, dtype=np.int64)
        self._turn = 0
        self._ahead_bytes = np.zeros(peers)  # received of each peer's first
        self.moved_bytes = 0.0

    def __len__(self) -> int:
        return len(self._codes)

    def want(self, peers: Rows, images: Rows, urgency: npt.NDArray[np.int64]) -> None:
        """These and no others are wanted now, each pair once; what is under way goes on."""
        codes = peers * self._images + images
        order = np.argsort(codes)
        codes, urgency = codes[order], urgency[order]
        place = np.searchsorted(codes, self._codes)
        place[place == len(codes)] = 0
        keep = codes[place] == self._codes if len(codes) else np.zeros(len(self._codes), dtype=np.bool_)
        known = np.zeros(len(codes), dtype=np.bool_)
        known[place[keep]] = True
        heads = self._heads()
        gone = self._codes[heads[~keep[heads]]]
        new = codes[~known]
        self._turn += 1
        kept = urgency[place[keep]] << 40 | self._ranks[keep] & _TURN
        ranks = np.concatenate([kept, urgency[~known] << 40 | self._turn])
        self._codes = np.concatenate([self._codes[keep], new])
        order = np.lexsort((self._codes, ranks, self._codes // self._images))
        self._codes, self._ranks = self._codes[order], ranks[order]
        self._ahead_bytes[gone // self._images] = 0.0

    def advance(self, seconds: float, up: npt.NDArray[np.bool_]) -> tuple[Rows, Rows]:
        """Let time pass; peers and images of the fetches that came to their end."""
        if not len(self._codes):
            return self._codes, self._codes
        peers = self._peers()
        sizes_bytes = self._sizes_bytes[self._codes % self._images].astype(np.float64)
        total = np.cumsum(sizes_bytes)
        first = np.searchsorted(peers, peers)
        until = total - (total[first] - sizes_bytes[first])
        busy = np.unique(peers)
        working = busy[up[busy]]
        budget = self._ahead_bytes.copy()
        budget[working] += self._bytes_per_s * seconds
        done = until <= budget[peers]
        used = np.zeros(len(budget))
        np.maximum.at(used, peers[done], until[done])
        last = np.bincount(peers, minlength=len(budget))
        finished = np.bincount(peers[done], minlength=len(budget)) == last
        after = np.where(finished, 0.0, budget - used)
        self.moved_bytes += float((used + after - self._ahead_bytes)[working].sum())
        self._ahead_bytes = after
        codes = self._codes[done]
        self._codes, self._ranks = self._codes[~done], self._ranks[~done]
        return codes // self._images, codes % self._images

    def drop_peer(self, peer: int) -> None:
        """A peer's fetches end with it."""
        keep = self._peers() != peer
        self._codes, self._ranks = self._codes[keep], self._ranks[keep]
        self._ahead_bytes[peer] = 0.0

    def _peers(self) -> npt.NDArray[np.int64]:
        return self._codes // self._images

    def _heads(self) -> Rows:
        """Where in the table the first of every peer is."""
        return np.flatnonzero(np.diff(self._peers(), prepend=-1))
