"""A peer in a process of its own, for tests to freeze: prints its address, swallows what it is sent."""

import trio

from protocol.net.limits import HostLimits
from protocol.net.streams import Stream
from tests.net.hosts import LOOPBACK, make_host

SEED = 99
SWALLOW = "/test/swallow/1"


async def swallow(peer_id: str, stream: Stream) -> None:
    while await stream.read_some():
        pass


async def main() -> None:
    host = make_host(SEED, limits=HostLimits(streams_per_protocol=64))
    host.handle(SWALLOW, swallow)
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run, [LOOPBACK])
        print(host.addrs[0], flush=True)


if __name__ == "__main__":
    trio.run(main)
