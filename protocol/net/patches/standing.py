"""Defect: every connection may open every protocol, and Pubsub greets whoever connects with the topics it listens to.

Streams of a host that has a gate (`protocol.net.gate`) go through it, and Pubsub never learns of strangers.
"""

from typing import Any

from libp2p.host.basic_host import BasicHost
from libp2p.pubsub.pubsub import Pubsub

from protocol.net.patches.release import expect_release


def apply() -> None:
    """Ask the gate first."""
    expect_release()
    stock_stream, stock_greet = BasicHost._swarm_stream_handler, Pubsub._handle_new_peer

    async def on_stream(host: Any, stream: Any) -> None:
        gate = host.__dict__.get("gate")
        await (stock_stream(host, stream) if gate is None else gate.on_stream(stream))

    async def greet(router: Any, peer: Any) -> None:
        gate = router.host.__dict__.get("gate")
        if gate is None or gate.is_member(str(peer)):
            await stock_greet(router, peer)

    BasicHost._swarm_stream_handler = on_stream
    Pubsub._handle_new_peer = greet
