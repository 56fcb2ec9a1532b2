"""The daemon's side: the process is started, watched, started anew, and never outlives its daemon."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import trio

from node.gateway import process
from node.gateway.process import GatewayProcess
from store.store import Store

DEADLINE_S = 60


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Store.open(tmp_path).close()
    return tmp_path


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - the state of a process, watched from outside
            await trio.sleep(0.01)


async def listening(gateway: GatewayProcess) -> str:
    with trio.fail_after(DEADLINE_S):
        await gateway.listening.wait()
    assert gateway.address is not None
    return gateway.address


def alive(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/healthz", trust_env=False, timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def gateway_pids(home: Path) -> list[int]:
    """Processes that were started with this data directory."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and str(home).encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


async def test_it_listens_on_a_real_port_until_cancelled(home: Path) -> None:
    gateway = GatewayProcess(home, "127.0.0.1:0")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.run)
        address = await listening(gateway)
        assert not address.endswith(":0")
        assert await trio.to_thread.run_sync(alive, address)
        assert gateway.problem is None
        nursery.cancel_scope.cancel()
    assert gateway.address is None
    assert gateway_pids(home) == []
    assert not alive(address)


async def test_one_that_is_killed_is_started_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "FIRST_RESTART_S", 0.01)
    gateway = GatewayProcess(home, "127.0.0.1:0")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.run)
        await listening(gateway)
        first = gateway.listening
        [pid] = gateway_pids(home)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: gateway.listening is not first)
        address = await listening(gateway)
        assert await trio.to_thread.run_sync(alive, address)
        assert gateway.restarts == 1
        nursery.cancel_scope.cancel()


async def test_a_port_in_use_is_one_line_and_tried_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "FIRST_RESTART_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        gateway = GatewayProcess(home, bind)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gateway.run)
            await until(lambda: gateway.problem is not None)
            assert gateway.problem == f"{bind}: address already in use"
            other.close()
            assert await listening(gateway) == bind
            nursery.cancel_scope.cancel()


async def test_a_directory_without_a_store_is_one_line(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, "127.0.0.1:0")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.run)
        await until(lambda: gateway.problem is not None)
        assert "catalogue.db" in str(gateway.problem)
        nursery.cancel_scope.cancel()


def test_it_ends_with_a_daemon_that_was_killed(home: Path) -> None:
    code = (
        "import sys, trio; from pathlib import Path; from node.gateway.process import GatewayProcess\n"
        f"g = GatewayProcess(Path({str(home)!r}), '127.0.0.1:0')\n"
        "async def tell():\n    await g.listening.wait(); print(g.address, flush=True)\n"
        "async def main():\n    async with trio.open_nursery() as n: n.start_soon(g.run); n.start_soon(tell)\n"
        "trio.run(main)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        address = daemon.stdout.readline().strip()
        assert alive(address)
        daemon.kill()
    ends_s = time.monotonic() + DEADLINE_S
    while gateway_pids(home) and time.monotonic() < ends_s:
        time.sleep(0.02)
    assert gateway_pids(home) == []
