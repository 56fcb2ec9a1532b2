"""One seed's swarm through its months: faults befall it, it looks and acts, and everything is counted."""

from collections.abc import Callable

import numpy as np

from tests.sim.view_level.agenda import Agenda
from tests.sim.view_level.befall import Faults
from tests.sim.view_level.churn import DAY_S, MONTH_S, faults
from tests.sim.view_level.gossip import bytes_a_day
from tests.sim.view_level.swarm import Setting, Swarm

WAKE_S = 1800.0
"""While copies are under way their ends are looked at this often, if nothing else happens."""
SETTLES_WITHIN_S = 30 * DAY_S

Told = dict[str, int | float | bool | None]


class Story:
    """Runs one.

    Attributes:
        below_min_s, below_target_s: image-seconds so far, as the larger side sees it.
        settled_s: how long after the last fault nothing was left to do; None if that did not come.
        on_month: called after each.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.agenda = Agenda()
        self.below_min_s = self.below_target_s = 0.0
        self.settled_s: float | None = None
        self.on_month: Callable[[int], None] = lambda month: None
        self._end_s = setting.months * MONTH_S
        self._wake_s = 0.0
        self._false_shares: list[float] = []
        random = np.random.default_rng(setting.seed)
        planned = faults(random, setting.rates, setting.peers, self._end_s)
        deaths = sum(fault.kind == "death" for fault in planned)
        self.swarm = Swarm(setting, random, self.agenda, deaths)
        self.faults = Faults(self.swarm)
        self.faults.rot()
        for fault in planned:
            self.agenda.after(fault.at_s, lambda fault=fault: self.faults.befall(fault))  # type: ignore[misc]
        self.agenda.after(DAY_S, self._daily)
        for month in range(1, int(setting.months) + 1):
            self.agenda.after(month * MONTH_S, lambda month=month: self.on_month(month))  # type: ignore[misc]

    def run(self) -> None:
        """Live through all months, then until nothing is left to do."""
        while (next_s := self.agenda.next_s()) is not None and next_s <= self._end_s:
            self._step(next_s)
            if self.setting.stop_at_loss and self.swarm.world.lost_by_us:
                return
        self._pass_time(self._end_s)
        self.agenda.clear()
        self.faults.end()
        self._wake_s = 0.0
        self.agenda.after(1.0, lambda: None)
        while (next_s := self.agenda.next_s()) is not None and next_s < self._end_s + SETTLES_WITHIN_S:
            self._step(next_s)
            if self._is_settled():
                self.settled_s = self.agenda.now_s - self._end_s
                return

    def told(self) -> Told:
        """What became of it; see docs/placement.md."""
        swarm, world = self.swarm, self.swarm.world
        days = max(self.agenda.now_s / DAY_S, 1e-9)
        changes_a_day = swarm.holdings_changes / days
        return {
            "seed": self.setting.seed,
            "leases": self.setting.with_leases,
            "peers": self.setting.peers,
            "images": self.setting.images,
            "days": round(days, 2),
            "faults": self.faults.count,
            "false_share": round(float(np.mean(self._false_shares)), 4) if self._false_shares else None,
            "lost": sum(world.lost.values()),
            "lost_by_us": world.lost_by_us,
            "short_releases": world.short_releases,
            "released": swarm.released,
            "refused": swarm.refused,
            "degraded_hours": round(self.below_min_s / 3600),
            "below_target_hours": round(self.below_target_s / 3600),
            "moved_bytes": round(swarm.moved_bytes),
            "least_bytes": world.lost_bytes + self.faults.rotted_bytes,
            "gossip_bytes_a_day": round(bytes_a_day(self.setting.peers, changes_a_day)),
            "holdings_changes": swarm.holdings_changes,
            "settled_s": None if self.settled_s is None else round(self.settled_s),
            "looks": swarm.looks,
        }

    def _step(self, at_s: float) -> None:
        """Everything that happens within a second, then what is done about it."""
        self._pass_time(at_s)
        self.agenda.act_until(at_s + 1.0)
        self.swarm.act()
        if any(map(len, self.swarm.transfers)) and self._wake_s <= at_s:
            self._wake_s = at_s + WAKE_S
            self.agenda.after(WAKE_S, lambda: None)

    def _pass_time(self, until_s: float) -> None:
        seconds = until_s - self.agenda.now_s
        if seconds <= 0:
            return
        standings = self.swarm.sides[0].desk.standings
        self.below_min_s += seconds * standings["below_min"]
        self.below_target_s += seconds * standings["below_target"]
        self.agenda.now_s = until_s
        self.swarm.pass_time(seconds)

    def _daily(self) -> None:
        before = self.swarm.false_share()
        self.faults.scrub()
        self.faults.rot()
        self._false_shares.append((before + self.swarm.false_share()) / 2)
        self.swarm.move()
        self.agenda.after(DAY_S, self._daily)

    def _is_settled(self) -> bool:
        standings = self.swarm.sides[0].desk.standings
        kept = self.setting.images - int(self.swarm.world.is_lost.sum())
        return not any(map(len, self.swarm.transfers)) and standings["at_target"] == kept
