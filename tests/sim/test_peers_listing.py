"""What `peers --json` says, made by a whole peer."""

import re
from functools import partial

from node.operations.members import Members
from node.rows import PeerRow
from tests.sim.peer import SimPeer
from tests.sim.swarm import Setting, Swarm, simulate

ADDR = re.compile(r"/ip4/[0-9.]+/tcp/[0-9]+")


async def rows_at(peer: SimPeer) -> dict[str, PeerRow]:
    """`pina peers` there, by peer; its own row is the first."""
    members = Members(peer.daemon.parts)
    rows = await peer.ask(partial(members.peers))
    assert rows[0].peer_id == peer.peer_id
    return {row.peer_id: row for row in rows}


def test_a_peer_lists_its_own_addresses_in_the_form_in_which_others_list_them() -> None:
    async def story(swarm: Swarm) -> None:
        ada, bob = swarm.peers
        await swarm.run(30)
        own, others = (await rows_at(ada))[ada.peer_id], (await rows_at(bob))[ada.peer_id]
        assert own.addrs == others.addrs == (ada.address,)
        assert all(ADDR.fullmatch(addr) for addr in own.addrs)

    simulate(Setting(seed=31, peers=2), story)
