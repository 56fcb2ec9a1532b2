"""Which jobs run next: the highest priority first, then whoever has waited longest, within what may run at once. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Waiting(NamedTuple):
    """A queued job that is due."""

    id: int
    kind: str
    priority: int


def choose(waiting: Iterable[Waiting], running: Mapping[str, int], at_once: Mapping[str, int], total: int) -> list[int]:
    """Ids of the jobs to start now, in order.

    Args:
        waiting: of each kind at least as many as may start.
        running: kind → how many run.
        at_once: kind → how many may; a kind that is not in it does not run.
        total: how many may run of all kinds together.
    """
    room = {kind: most - running.get(kind, 0) for kind, most in at_once.items()}
    left = total - sum(running.values())
    chosen: list[int] = []
    for job in sorted(waiting, key=lambda job: (-job.priority, job.id)):
        if left <= 0:
            break
        if room.get(job.kind, 0) > 0:
            room[job.kind] -= 1
            left -= 1
            chosen.append(job.id)
    return chosen
