"""Faults, as they befall a swarm: blips, deaths, lost disks, splits, and copies that turn false."""

import heapq
import itertools

import numpy as np
import numpy.typing as npt

from node.replication.board import Rows
from node.replication.view import PeerState
from tests.sim.view_level.churn import DAY_S, Fault
from tests.sim.view_level.side import REPAIR_AFTER_S, SUSPECT_AFTER_S
from tests.sim.view_level.swarm import ZONES, Swarm
from tests.sim.view_level.world import Cause

QUIET_S = SUSPECT_AFTER_S
"""After a start a peer plans nothing for so long."""
SCRUB_S = 30 * DAY_S
MADE_UP_FOR = 1.15
"""What leases and fetches find out within a day is made up for beforehand, so that the share is right on average."""


class Faults:
    """Carries faults out.

    Attributes:
        count: of those that found somebody to befall.
        rotted_bytes: of the copies that turned false.
    """

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.agenda = swarm.agenda
        self.count = self.rotted_bytes = 0
        self._silences = np.zeros(swarm.most, dtype=np.int64)
        self._next_peer = swarm.setting.peers
        self._turn = itertools.count()
        self._rot_due: list[tuple[float, int, npt.NDArray[np.int64]]] = []

    def befall(self, fault: Fault) -> None:
        """A fault comes; it passes by a place where nobody is up, and a swarm that is split already."""
        if fault.kind == "split":
            if len(self.swarm.sides) == 1:
                self.count += 1
                self._split(fault)
            return
        number = self.swarm.peer_at[fault.place]
        if not self.swarm.up[number]:
            return
        self.count += 1
        self._silence(number)
        if fault.kind == "death":
            self._wipe(number, "death")
            self.swarm.exists[number] = False
            self.agenda.after(fault.lasts_s, lambda: self._succeed(number, fault.place))
            return
        if fault.kind == "disk":
            self._wipe(number, "disk")
        self.agenda.after(fault.lasts_s, lambda: self._return(number))

    def _wipe(self, number: int, cause: Cause) -> None:
        images = np.flatnonzero(self.swarm.world.disk[number])
        self.swarm.lose(self.swarm.world.spoil(np.full(len(images), number), images, cause))

    def _silence(self, number: int) -> None:
        self.swarm.up[number] = False
        self._silences[number] += 1
        index, silence = int(self.swarm.side_of[number]), int(self._silences[number])
        self.swarm.transfers[index].drop_peer(number)

        def judged(state: PeerState) -> None:
            if self._silences[number] == silence and not self.swarm.up[number]:
                for side in self.swarm.sides:
                    if side.states.get(number) in ("alive", "suspect"):
                        side.judge(number, state)

        self.agenda.after(SUSPECT_AFTER_S, lambda: judged("suspect"))
        self.agenda.after(REPAIR_AFTER_S, lambda: judged("down"))

    def _return(self, number: int) -> None:
        """A peer is back, and says what it has; nothing, where its disk was lost and its catalogue with it."""
        index = int(self.swarm.side_of[number])
        if not self.swarm.world.disk[number].any():
            images = np.flatnonzero(self.swarm.world.claim[number])
            self.swarm.world.unclaim(np.full(len(images), number), images)
        self.swarm.up[number] = True
        self._silences[number] += 1
        self.swarm.sides[index].judge(number, "alive")
        self.swarm.sides[index].hear_all(number, self.swarm.world.claim[number])
        self._quiet(number)

    def _quiet(self, number: int) -> None:
        self.swarm.wakes_at_s[number] = self.agenda.now_s + QUIET_S
        self.agenda.after(QUIET_S, lambda: None)

    def _succeed(self, dead: int, place: int) -> None:
        """An operator expels what is dead, and sets another peer up in its place."""
        number, self._next_peer = self._next_peer, self._next_peer + 1
        index = int(self.swarm.side_of[dead])
        self.swarm.side_of[number] = index
        self.swarm.peer_at[place] = number
        self.swarm.up[number] = self.swarm.exists[number] = True
        images = np.flatnonzero(self.swarm.world.claim[dead])
        self.swarm.world.unclaim(np.full(len(images), dead), images)
        for other, side in enumerate(self.swarm.sides):
            self.swarm.admit(side, number, place)
            side.judge(dead, "left")
            if other != index:
                side.judge(number, "down")
        self._quiet(number)

    def _split(self, fault: Fault) -> None:
        cut = max(1, min(ZONES - 1, round(fault.share * ZONES)))
        far = [self.swarm.peer_at[place] for place in range(self.swarm.setting.peers) if place % ZONES < cut]
        if 2 * len(far) > self.swarm.setting.peers:  # the first side is the larger one
            far = [number for number in self.swarm.peer_at if number not in set(far)]
        self.swarm.side_of[far] = 1
        self.swarm.sides.append(self.swarm.sides[0].split_off())
        self.swarm.transfers.append(self.swarm.new_transfers())
        for number in far:
            self.swarm.transfers[0].drop_peer(number)

        def judged(state: PeerState) -> None:
            if len(self.swarm.sides) == 2:
                for number in self.swarm.peer_at:
                    other = self.swarm.sides[1 - self.swarm.side_of[number]]
                    if other.states.get(number) in ("alive", "suspect"):
                        other.judge(number, state)

        self.agenda.after(SUSPECT_AFTER_S, lambda: judged("suspect"))
        self.agenda.after(REPAIR_AFTER_S, lambda: judged("down"))
        self.agenda.after(fault.lasts_s, self._heal)

    def _heal(self) -> None:
        far = np.flatnonzero(self.swarm.side_of == 1).tolist()
        near, other = self.swarm.sides
        self.swarm.healed_bytes += self.swarm.transfers[1].moved_bytes
        for number in far:
            if number in near.states and near.states[number] != "left":
                near.judge(number, "alive" if self.swarm.up[number] else other.states[number])
            near.hear_all(number, self.swarm.world.claim[number] if self.swarm.up[number] else other.believed[number])
        self.swarm.side_of[:] = 0
        del self.swarm.sides[1], self.swarm.transfers[1]

    def rot(self) -> None:
        """Copies turn false until the share of false claims is what it is meant to be; never an image's last good one.

        That would be a loss that no policy could have spared anybody, and hide those that are one's own doing.
        """
        world, here = self.swarm.world, np.flatnonzero(self.swarm.exists)
        claims = int(np.count_nonzero(world.claim[here]))
        wanted = int((MADE_UP_FOR * self.swarm.setting.false_share - self.swarm.false_share()) * claims)
        if wanted <= 0:
            return
        peers = self.swarm.random.choice(here, wanted)
        images = self.swarm.random.integers(0, self.swarm.setting.images, wanted)
        for _ in range(200):  # a peer holds a small share of the images: look further until it has one
            wrong = ~world.disk[peers, images]
            if not wrong.any():
                break
            images[wrong] = self.swarm.random.integers(0, self.swarm.setting.images, int(wrong.sum()))
        codes = peers * self.swarm.setting.images + images
        good = world.disk[peers, images] & (world.copies[images] > 1)
        codes, images = _one_each(codes[good], images[good])
        peers = codes // self.swarm.setting.images
        self.rotted_bytes += int(world.sizes_bytes[images].sum())
        self.swarm.lose(world.spoil(peers, images, "rot"))
        due_s = self.agenda.now_s + self.swarm.random.uniform(0, SCRUB_S, len(codes))
        days = (due_s // DAY_S).astype(int)
        for day in np.unique(days).tolist():
            heapq.heappush(self._rot_due, (day * DAY_S, next(self._turn), codes[days == day]))

    def scrub(self) -> None:
        """Peers come to re-hash what has turned false, within a month."""
        late: list[npt.NDArray[np.int64]] = []
        while self._rot_due and self._rot_due[0][0] <= self.agenda.now_s:
            codes = heapq.heappop(self._rot_due)[2]
            peers, images = codes // self.swarm.setting.images, codes % self.swarm.setting.images
            late.append(codes[~self.swarm.up[peers] & self.swarm.exists[peers]])
            for index in range(len(self.swarm.sides)):
                here = self.swarm.side_of[peers] == index
                self.swarm.find_out(index, peers[here], images[here])
        for codes in late:
            if len(codes):
                heapq.heappush(self._rot_due, (self.agenda.now_s + DAY_S, next(self._turn), codes))

    def end(self) -> None:
        """No more faults: whoever is away comes back, and what is false is found."""
        if len(self.swarm.sides) == 2:
            self._heal()
        for place, number in enumerate(list(self.swarm.peer_at)):
            if not self.swarm.exists[number]:
                self._succeed(number, place)
            elif not self.swarm.up[number]:
                self._return(number)
        peers, images = np.nonzero(self.swarm.world.claim & ~self.swarm.world.disk)
        self.swarm.find_out(0, peers, images)
        self._rot_due.clear()


def _one_each(codes: Rows, images: Rows) -> tuple[Rows, Rows]:
    _, first = np.unique(images, return_index=True)
    return codes[first], images[first]
