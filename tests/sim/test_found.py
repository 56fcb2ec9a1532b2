"""Faults that the simulation found in the daemon, each kept from coming back."""

from unittest.mock import patch

from node.running import Daemon
from tests.sim.swarm import PACE, Setting, Swarm, simulate


def test_what_was_not_planned_during_a_moment_of_quiet_is_planned_after_it() -> None:
    """A beat that is ahead of its delta makes one peer unknown for an instant, soon after a start."""

    async def story(swarm: Swarm) -> None:
        await swarm.run(6)
        daemon = swarm.peers[0].daemon
        assert daemon.blocked() is None
        with patch.object(Daemon, "_all_is_known", lambda self: False):
            assert "quiet after start" in str(daemon.blocked())
        with patch.object(daemon.parts.controller, "replan") as replan:
            await swarm.run(PACE["node.running.TICK_S"])
        replan.assert_any_call(None)

    simulate(Setting(seed=1, peers=3), story)
