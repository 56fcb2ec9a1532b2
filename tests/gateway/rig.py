"""A real gateway process over a real store, with or without a daemon behind it, and DAGs to ask it for."""

import io
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from node.gateway.handshake import READY
from store.cid import cid_of, cid_text
from store.store import Owner, Store
from store.unixfs import Block, DirEntry, import_file, make_directory

OWNER = Owner(kind="root", id=b"tests")


class Dags:
    """Blocks made on the way to some roots, by CID."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, bytes] = {}

    def file(self, content: bytes) -> bytes:
        """The CID of a file."""
        return self._root(list(import_file(io.BytesIO(content))))

    def folder(self, entries: Mapping[str, bytes]) -> bytes:
        """The CID of a directory; entries by name, in the order that directories have."""
        ordered = sorted(entries.items(), key=lambda entry: entry[0].encode())
        return self._root([make_directory([DirEntry(name, cid, 1) for name, cid in ordered])])

    def block(self, codec: int, block: bytes) -> bytes:
        """The CID of this very block."""
        cid = cid_of(codec, block)
        self.blocks[cid] = block
        return cid

    def _root(self, blocks: Sequence[Block]) -> bytes:
        self.blocks.update((block.cid, block.data) for block in blocks)
        return blocks[-1].cid

    def store(self, home: Path, *, without: Sequence[bytes] = ()) -> None:
        """Make a store at `home` that holds all blocks but those."""
        store = Store.open(home)
        store.put([(cid, block) for cid, block in self.blocks.items() if cid not in without], owner=OWNER)
        store.close()


def noise(size_bytes: int, seed: int = 1) -> bytes:
    """Bytes that no two blocks share, the same each time."""
    return random.Random(seed).randbytes(size_bytes)


@dataclass
class Running:
    """A gateway process. `client` follows no redirects and sends paths as they are written."""

    pid: int
    port: int
    client: httpx.Client

    def get(self, path: str, **headers: str) -> httpx.Response:
        """GET, with headers such as `if_none_match="*"`."""
        return self.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def raw(self, request: bytes) -> socket.socket:
        """A connection on which this much of a request was sent."""
        channel = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        channel.sendall(request)
        return channel

    def status(self, path: str) -> int:
        """The status of a GET on a connection of its own, without the weight of an HTTP client."""
        with self.raw(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()) as channel:
            return int(read_all(channel).split(b" ", 2)[1])

    def metric(self, name: str) -> int:
        """The value of `pinakothek_gateway_<name>`."""
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(f"pinakothek_gateway_{name} "):
                return int(line.rpartition(" ")[2])
        raise KeyError(name)

    def rss_bytes(self) -> int:
        """Resident memory of the process."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def running_gateway(home: Path) -> Iterator[Running]:
    """A gateway process on the store at `home` and a free port."""
    alive_r, alive_w = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "node.gateway", str(home), "127.0.0.1:0", str(alive_r)],
        stdout=subprocess.PIPE,
        pass_fds=(alive_r,),
    )
    os.close(alive_r)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith(READY), line
        port = int(line.rpartition(b":")[2])
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            yield Running(process.pid, port, client)
    finally:
        os.close(alive_w)
        process.stdout.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()


def read_all(channel: socket.socket) -> bytes:
    """Everything up to the end of the connection, be it a reset."""
    pieces = []
    try:
        while piece := channel.recv(1 << 20):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def at(*cids: bytes | str) -> str:
    """`/ipfs/<cid>/<name>…`."""
    return "/ipfs/" + "/".join(part if isinstance(part, str) else cid_text(part) for part in cids)
