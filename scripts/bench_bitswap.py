"""Measure Bitswap against Kubo, both ways, and print JSON: MB/s of a DAG of raw blocks, blocks on disk at both ends.

    python scripts/bench_bitswap.py [--size-mib 128] [--rounds 3] [--chunk-kib 1024]

Each round measures all four pairs one after the other, so that they share whatever else the machine does; the figures
are medians. Every peer is a process of its own. `serve` and `fetch` are the Python ends, started by this script.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from protocol.net.bitswap import PROTOCOLS, Bitswap
from protocol.net.host import Host
from store.cid import parse_cid
from store.dag import links
from tests.kubo import Kubo

CONNECT_TIMEOUT_S = 20
LISTEN = ["/ip4/127.0.0.1/tcp/0"]


class Folder:
    """Blocks as files: the plainest store there is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.sizes = {bytes.fromhex(file.name): file.stat().st_size for file in path.iterdir()}

    async def get(self, cid: bytes) -> bytes | None:
        return await trio.to_thread.run_sync(self._checked, cid) if cid in self.sizes else None

    def _checked(self, cid: bytes) -> bytes:
        block = (self.path / cid.hex()).read_bytes()
        assert hashlib.sha256(block).digest() == cid[-32:]
        return block

    async def put(self, cid: bytes, block: bytes) -> None:
        await trio.to_thread.run_sync((self.path / cid.hex()).write_bytes, block)
        self.sizes[cid] = len(block)


@contextmanager
def python_server(folder: Path) -> Iterator[str]:
    """Serve a folder from another process; yields its address."""
    command = [sys.executable, __file__, "serve", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()
            server.wait(20)


def python_fetch(folder: Path, addrs: list[str], root: str) -> float:
    """Fetch a DAG into a folder in another process; returns MB/s."""
    command = [sys.executable, __file__, "fetch", str(folder), root, *addrs]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def kubo_fetch(home: Path, addr: str, root: str, size_bytes: int) -> float:
    """Pin a DAG with a new Kubo connected to `addr` alone; returns MB/s."""
    with Kubo(home) as kubo:
        kubo.connect(addr)
        began_s = time.monotonic()
        kubo.rpc(f"pin/add?arg={root}", timeout_s=600)
        return size_bytes / (time.monotonic() - began_s) / 1e6


def measure(*, size_mib: int = 128, rounds: int = 3, chunk_kib: int = 1024) -> dict[str, float]:
    """Run the four pairs `rounds` times; returns the median MB/s of each, and the ratios to Kubo with Kubo."""
    size_bytes = size_mib << 20
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-bitswap-") as name:
        home = Path(name)
        with Kubo(home / "source") as source:
            (home / "file").write_bytes(os.urandom(size_bytes))
            options = ["-Q", "--cid-version=1", "--raw-leaves", f"--chunker=size-{chunk_kib << 10}"]
            root = source.cli("add", *options, str(home / "file")).decode().strip()
            for index in range(rounds):
                at = home / f"round{index}"
                found = {
                    "kubo_kubo_mb_s": kubo_fetch(at / "kubo1", source.addr, root, size_bytes),
                    "fetch_from_kubo_mb_s": python_fetch(at / "fetched", [source.addr], root),
                }
                with python_server(at / "fetched") as addr:
                    found["serve_to_kubo_mb_s"] = kubo_fetch(at / "kubo2", addr, root, size_bytes)
                    found["python_python_mb_s"] = python_fetch(at / "copied", [addr], root)
                print(json.dumps(found), file=sys.stderr, flush=True)
                for key, value in found.items():
                    figures.setdefault(key, []).append(value)
    medians = {key: statistics.median(values) for key, values in figures.items()}
    for key in ("fetch_from_kubo", "serve_to_kubo"):
        pairs = zip(figures[f"{key}_mb_s"], figures["kubo_kubo_mb_s"], strict=True)
        medians[f"{key}_ratio"] = statistics.median(ours / theirs for ours, theirs in pairs)
    return {key: round(value, 2) for key, value in medians.items()}


def _host() -> Host:
    return Host(os.urandom(32), is_member=lambda _: True, strangers_may=lambda: frozenset(PROTOCOLS))


async def _run(folder: Folder, host: Host, nursery: trio.Nursery) -> Bitswap:
    bitswap = Bitswap(host, get_block=folder.get, block_size=folder.sizes.get, may_serve=lambda _: True)
    await nursery.start(bitswap.run)
    await nursery.start(host.run, LISTEN)
    return bitswap


async def _serve(path: Path) -> None:
    async with trio.open_nursery() as nursery:
        host = _host()
        await _run(Folder(path), host, nursery)
        print(host.addrs[0], flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


async def _fetch(path: Path, root: bytes, addrs: list[str]) -> None:
    async with trio.open_nursery() as nursery:
        host, folder = _host(), Folder(path)
        bitswap = await _run(folder, host, nursery)
        sources = [addr.rpartition("/")[2] for addr in addrs]
        for peer_id, addr in zip(sources, addrs, strict=True):
            await host.connect(peer_id, [addr], CONNECT_TIMEOUT_S)
        began_s = trio.current_time()
        async with bitswap.session(sources) as session, trio.open_nursery() as writers:
            await session.want([root])
            async for cid, block in session:
                await session.want(links(cid, block))
                writers.start_soon(folder.put, cid, block)
        print(sum(folder.sizes.values()) / (trio.current_time() - began_s) / 1e6, flush=True)
        nursery.cancel_scope.cancel()


def main() -> None:
    """Measure, or be one of the Python ends."""
    match sys.argv[1:]:
        case ["serve", path]:
            trio.run(_serve, Path(path))
        case ["fetch", path, root, *addrs]:
            trio.run(_fetch, Path(path), parse_cid(root), addrs)
        case _:
            parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
            parser.add_argument("--size-mib", type=int, default=128)
            parser.add_argument("--rounds", type=int, default=3)
            parser.add_argument("--chunk-kib", type=int, default=1024)
            print(json.dumps(measure(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
