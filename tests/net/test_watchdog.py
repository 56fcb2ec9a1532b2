"""A peer that is frozen, not dead, is noticed and its connection closed, even while a write to it is stuck."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from protocol.net import watchdog
from protocol.net.errors import StreamEnded
from protocol.net.host import Host
from tests.net.frozen_peer import SEED, SWALLOW
from tests.net.hosts import DEADLINE_S, eventually, hosts, make_host, running

ROOT = Path(__file__).resolve().parents[2]
PEER = make_host(SEED).peer_id


@asynccontextmanager
async def connected_process(host: Host) -> AsyncIterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, "-m", "tests.net.frozen_peer"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = await trio.to_thread.run_sync(process.stdout.readline)
            await host.connect(PEER, [address.strip()], DEADLINE_S)
            yield process
        finally:
            process.kill()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "PING_INTERVAL_S", 0.3)
    monkeypatch.setattr(watchdog, "ANSWER_S", 0.7)


async def test_a_frozen_peer_is_noticed(hasty: None) -> None:
    host = make_host(1)
    async with running(host), connected_process(host) as process:
        process.send_signal(signal.SIGSTOP)
        await eventually(lambda: not host.connected())
        await eventually(lambda: host.network.get_connections() == [])


async def test_a_frozen_peer_is_noticed_while_writes_to_it_are_stuck(hasty: None) -> None:
    host = make_host(1)
    ended: list[StreamEnded] = []

    async def write() -> None:
        stream = await host.open_stream(PEER, [SWALLOW], 5)
        ready.append(stream)
        await frozen.wait()
        try:
            await stream.write(bytes(1 << 20))
        except StreamEnded as error:
            ended.append(error)

    ready: list[object] = []
    frozen = trio.Event()
    async with running(host), trio.open_nursery() as nursery, connected_process(host) as process:
        for _ in range(40):
            nursery.start_soon(write)
        await eventually(lambda: len(ready) == 40)
        process.send_signal(signal.SIGSTOP)
        frozen.set()
        connection = host.connections.best(PEER)
        assert connection is not None
        await eventually(connection.muxed_conn._write_lock.locked)
        await eventually(lambda: not host.connected())
        await eventually(lambda: len(ended) == 40)


async def test_a_living_peer_is_left_alone(hasty: None) -> None:
    async with hosts(2) as (a, b):
        connection = a.connections.best(b.peer_id)
        assert connection is not None
        await eventually(lambda: connection.muxed_conn._ping_id >= 3)
        assert a.connections.best(b.peer_id) is connection
