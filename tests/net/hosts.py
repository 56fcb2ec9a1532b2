"""Hosts on loopback, in this process, for tests."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from protocol.net.host import Host
from protocol.net.limits import HostLimits

LOOPBACK = "/ip4/127.0.0.1/tcp/0"
DEADLINE_S = 20.0


def everyone(peer_id: str) -> bool:
    return True


def nobody(peer_id: str) -> bool:
    return False


def nothing() -> frozenset[str]:
    return frozenset()


def make_host(
    seed: int,
    *,
    is_member: Callable[[str], bool] = everyone,
    strangers_may: Callable[[], frozenset[str]] = nothing,
    limits: HostLimits | None = None,
) -> Host:
    """A host that does not run yet; equal seeds make equal identities."""
    key_seed = seed.to_bytes(4, "big") * 8
    return Host(key_seed, is_member=is_member, strangers_may=strangers_may, limits=limits)


@asynccontextmanager
async def running(host: Host, listen: Sequence[str] = (LOOPBACK,)) -> AsyncIterator[Host]:
    """Run a host for the length of the block."""
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run, listen)
        try:
            yield host
        finally:
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def hosts(count: int, *, connected: bool = True, first_seed: int = 1) -> AsyncIterator[list[Host]]:
    """`count` hosts that take each other for members, each connected to each unless told otherwise."""
    async with AsyncExitStack() as stack:
        all_hosts = [await stack.enter_async_context(running(make_host(first_seed + n))) for n in range(count)]
        if connected:
            await connect_all(all_hosts)
        yield all_hosts


async def connect_all(all_hosts: Sequence[Host]) -> None:
    """A full mesh, each pair dialled once; returns when both ends of each pair know."""
    for index, host in enumerate(all_hosts):
        for other in all_hosts[:index]:
            await host.connect(other.peer_id, other.addrs, DEADLINE_S)
    await eventually(lambda: all(len(host.connected()) == len(all_hosts) - 1 for host in all_hosts))


async def eventually(condition: Callable[[], bool], timeout_s: float = DEADLINE_S) -> None:
    """Poll until true; fails the test after `timeout_s`."""
    with trio.fail_after(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await trio.sleep(0.01)
