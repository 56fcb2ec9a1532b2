"""The whole story of one seed: a swarm that is filled, lives through faults, comes to rest, and what there is to say of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import trio

from tests.sim.faults import Faults, Rates
from tests.sim.image import BYTES_FOR_ONE
from tests.sim.swarm import Setting, Swarm, simulate

FILLED_S = 1800.0
REST_S = 2 * 3600.0
"""A lease that was not given back binds for an hour, and then what waited for it moves."""
DAY_S = 86_400.0
REPORT_S = 2 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a swarm goes through.

    Attributes:
        images: added at the beginning; a twentieth as many again come during the faults.
        speed: faults happen so many times as often as `Rates` says.
        report: told every `REPORT_S` of the faults how it has gone so far.
    """

    images: int
    hours: float
    speed: float = 1.0
    report: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of it. Bytes are those of the images that the simulated ones stand for, gossip's are its own.

    Attributes:
        lost_by_release, short_releases: images of which a release took the last whole copy; releases that left fewer
            whole copies than `max`. Both are to be 0.
        lost_by_fault: images of which faults alone took the last whole copy.
        degraded_hours: image-hours with fewer live copies than `min`; `short_hours`: than `max`.
        least_bytes: what had to move: `max` - 1 copies of each image, and each copy that a fault destroyed once.
        gossip_bytes: received by a peer in a day, each message once; in a mesh of three neighbours up to three times.
        filled_s: from the first image to `max` copies of all.
        stopped_h: a story without leases ends once a release has lost an image; so long after the first was added.
        converged_s: from the last fault's end to rest; None if that was not reached, and where it was not looked for:
            with liars, who never have what they say, and after a stop.
        rot_unfound: copies that rotted and that nobody has read since; they do not keep a swarm from being at rest.
        digests: different record sets at the end; 1 is right.
    """

    seed: int
    leases: bool
    faults: dict[str, int]
    images: int
    lost_by_release: int
    short_releases: int
    lost_by_fault: int
    released: int
    degraded_hours: float
    short_hours: float
    moved_bytes: int
    least_bytes: int
    gossip_bytes: int
    filled_s: float
    stopped_h: float | None
    converged_s: float | None
    rot_unfound: int
    digests: int
    wall_s: float

    @property
    def sound(self) -> bool:
        return not self.lost_by_release and not self.short_releases

    def row(self) -> dict[str, object]:
        return asdict(self)


def tell(setting: Setting, course: Course) -> Told:
    """Simulate it."""
    began_s = time.perf_counter()
    told = simulate(setting, lambda swarm: _live(swarm, course))
    return Told(**told, wall_s=round(time.perf_counter() - began_s, 1))


async def _live(swarm: Swarm, course: Course) -> dict[str, object]:
    truth, honest = swarm.truth, [peer for peer in swarm.peers if not peer.disk.lies]
    began_s = trio.current_time()
    await swarm.run(10)
    filling_s = trio.current_time()
    while len(truth.images) < course.images:
        swarm.add(min(10, course.images - len(truth.images)), at=honest)
        await swarm.run(1)
    await _at_least(swarm, FILLED_S)
    filled_s = trio.current_time() - filling_s
    truth.settle()
    truth.short_s = truth.under_s = 0.0

    rates = Rates()
    faults = Faults(
        swarm, Rates(**{name: getattr(rates, name) * course.speed for name in Rates.__slots__}), seed=swarm.setting.seed
    )
    stopped_h = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_add_now_and_then, swarm, course)
        if course.report is not None:
            nursery.start_soon(_report, swarm, faults, course.report)
        if not swarm.setting.with_leases:
            nursery.start_soon(_stop_at_a_loss, swarm, nursery.cancel_scope)
        await faults.run(course.hours * 3600)
        nursery.cancel_scope.cancel()
    if not swarm.setting.with_leases and truth.lost_by_release:
        stopped_h = round((trio.current_time() - filling_s) / 3600, 2)
    converged_s = await _rest(swarm) if not swarm.setting.liars and stopped_h is None else None
    truth.settle()
    return {
        "seed": swarm.setting.seed,
        "leases": swarm.setting.with_leases,
        "faults": dict(sorted(faults.happened.items())),
        "images": len(truth.images),
        "lost_by_release": len(truth.lost_by_release),
        "short_releases": len(truth.short_releases),
        "lost_by_fault": len(truth.lost_by_fault),
        "released": truth.released,
        "degraded_hours": round(truth.under_s / 3600, 1),
        "short_hours": round(truth.short_s / 3600, 1),
        "moved_bytes": swarm.network.moved_bytes * BYTES_FOR_ONE,
        "least_bytes": _least_bytes(swarm) * BYTES_FOR_ONE,
        "gossip_bytes": _gossip_bytes(swarm, trio.current_time() - began_s),
        "filled_s": round(filled_s),
        "stopped_h": stopped_h,
        "converged_s": converged_s,
        "rot_unfound": truth.rot_unfound(),
        "digests": len({peer.daemon.parts.records.counting.digest for peer in swarm.up()}),
    }


async def _at_least(swarm: Swarm, within_s: float) -> None:
    """Wait until every image has its copies, liars' claims apart."""
    end_s = trio.current_time() + within_s
    wanted = swarm.setting.factor[1] if not swarm.setting.liars else 1
    while trio.current_time() < end_s and min(swarm.copies()) < wanted:
        await swarm.run(5)


async def _add_now_and_then(swarm: Swarm, course: Course) -> None:
    pause_s = course.hours * 3600 / (course.images / 20 + 1)
    while True:
        await swarm.run(pause_s)
        honest = [peer for peer in swarm.up() if not peer.disk.lies]
        if honest:
            swarm.add(1, at=honest)


async def _report(swarm: Swarm, faults: Faults, report: Callable[[str], None]) -> None:
    began_s, truth = trio.current_time(), swarm.truth
    while True:
        await swarm.run(REPORT_S)
        report(
            f"{(trio.current_time() - began_s) / 3600:.0f} h: {faults.happened.total()} faults, {truth.released} releases, "
            f"{len(truth.short_releases)} of them short, lost by a release {len(truth.lost_by_release)}, "
            f"by faults {len(truth.lost_by_fault)}"
        )


async def _stop_at_a_loss(swarm: Swarm, story: trio.CancelScope) -> None:
    while not swarm.truth.lost_by_release:
        await swarm.run(60)
    story.cancel()


async def _rest(swarm: Swarm) -> float | None:
    began_s = trio.current_time()
    while trio.current_time() < began_s + REST_S:
        if await swarm.is_quiet(60) and swarm.at_rest():
            return round(trio.current_time() - began_s - 60)
    return None


def _least_bytes(swarm: Swarm) -> int:
    truth = swarm.truth
    first = sum(image.size_bytes * (image.factor[1] - 1) for image in truth.images.values())
    return first + truth.spoilt_bytes


def _gossip_bytes(swarm: Swarm, seconds: float) -> int:
    heard = swarm.network.gossip_bytes
    return round(sum(heard.values()) / max(1, len(heard)) / seconds * DAY_S)
