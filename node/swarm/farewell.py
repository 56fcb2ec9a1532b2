"""Wait until somebody knows that this peer has left: a member that does refuses what only members may ask."""

import trio

from node.swarm.names import SYNC
from protocol.holdings_messages import LastHeardAsk
from protocol.messages import write_message
from protocol.net.errors import NetError
from protocol.net.rpc import Rpc

FAREWELL_S = 15.0
"""Longest wait. Guess: three heartbeats."""
LOOK_S = 0.5
ASK_TIMEOUT_S = 3.0


async def until_known(rpc: Rpc, members: frozenset[str]) -> bool:
    """Ask `members`, to whom there were connections, until one refuses; False where none did in time."""
    if not members:
        return False
    with trio.move_on_after(FAREWELL_S):
        while True:
            for peer in sorted(members):
                try:
                    await rpc.call(peer, SYNC, write_message(LastHeardAsk()), ASK_TIMEOUT_S)
                except NetError:
                    return True
            await trio.sleep(LOOK_S)
    return False
