"""How many copies roots have, as the plan weighs them: what listings, `show` and `status` say of a root."""

from collections.abc import Iterable
from typing import NamedTuple

import trio

from node.parts import Parts
from node.replication.planner import Planner
from node.replication.view import RootKey, SwarmView
from node.replication.weighing import Standing, weigh
from protocol.fields import Replicas
from protocol.pin import Pin
from protocol.recordset import RecordSet

INLINE_ROOTS = 20
"""So few are weighed on the event loop: about a millisecond, no more than a thread's round trip is worth."""


class Measured(NamedTuple):
    """One root: its replicas, and how it stands."""

    copies: int
    state: Standing


def key_of(pin: Pin) -> RootKey:
    """What a pin wants kept."""
    return RootKey(pin.root, pin.backend)


def factor_of(records: RecordSet, pin: Pin) -> Replicas:
    """The factor that a pin's root is held to, which all of its pins decide together; so copies and state fit it."""
    wanted = records.wanted(pin.root)
    return records.replicas_of(pin) if wanted is None else Replicas(wanted.min, wanted.max)


async def measure(parts: Parts, keys: Iterable[RootKey]) -> dict[RootKey, Measured]:
    """Weigh these roots as they are now."""
    wanted = list(dict.fromkeys(keys))
    view = parts.controller.beliefs.view(wanted)
    return _weighed(view) if len(wanted) <= INLINE_ROOTS else await trio.to_thread.run_sync(_weighed, view)


def _weighed(view: SwarmView) -> dict[RootKey, Measured]:
    rosters = Planner().rosters(view, {key.kind for key in view.roots})
    for kind, roster in rosters.items():
        roster.ranking.learn(key.root for key in view.roots if key.kind == kind)
    weighed = {key: weigh(rosters[key.kind], root) for key, root in view.roots.items()}
    return {key: Measured(one.copies, one.standing) for key, one in weighed.items()}
