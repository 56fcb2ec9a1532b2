"""What happens to peers, when, all of it from one seed before the first moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

DAY_S = 86_400
MONTH_S = 365 * DAY_S / 12
YEAR_S = 365 * DAY_S

BLIP_S = (60.0, 4 * 3600.0)
"""How long a blip lasts: any order of magnitude between is as likely as any other."""
SPLIT_S = (600.0, 12 * 3600.0)
REPLACED_AFTER_S = (1 * DAY_S, 7 * DAY_S)
DISK_LOST_S = (3600.0, DAY_S)

FaultKind = Literal["blip", "death", "disk", "split"]


class Fault(NamedTuple):
    """One thing that happens.

    Attributes:
        place: which of the swarm's places it befalls; a place is a peer, and after its death the one in its stead.
        lasts_s: until the peer is back, its successor there, or the split healed.
        share: of the zones, those on the far side of a split.
    """

    at_s: float
    kind: FaultKind
    place: int
    lasts_s: float
    share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Faults per peer and year, and splits a month."""

    deaths: float = 0.3
    disk_losses: float = 0.1
    blips: float = 100.0
    splits: float = 1.0


def faults(random: np.random.Generator, rates: Rates, peers: int, seconds: float) -> list[Fault]:
    """Everything that happens within `seconds`, in order."""
    years, months = seconds / YEAR_S, seconds / MONTH_S
    listed = [
        *_some(random, "blip", rates.blips * years * peers, peers, seconds, BLIP_S),
        *_some(random, "death", rates.deaths * years * peers, peers, seconds, REPLACED_AFTER_S),
        *_some(random, "disk", rates.disk_losses * years * peers, peers, seconds, DISK_LOST_S),
        *_some(random, "split", rates.splits * months, peers, seconds, SPLIT_S),
    ]
    return sorted(listed)


def _some(
    random: np.random.Generator,
    kind: FaultKind,
    expected: float,
    peers: int,
    seconds: float,
    lasts_s: tuple[float, float],
) -> Iterator[Fault]:
    count = int(random.poisson(expected))
    shortest, longest = np.log(lasts_s)
    rows = zip(
        random.uniform(0, seconds, count).tolist(),
        random.integers(0, peers, count).tolist(),
        np.exp(random.uniform(shortest, longest, count)).tolist(),
        random.uniform(0.1, 0.9, count).tolist(),
        strict=True,
    )
    return (Fault(at_s, kind, place, lasts, share) for at_s, place, lasts, share in rows)
