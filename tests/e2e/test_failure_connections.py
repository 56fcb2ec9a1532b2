"""The failure table, row of 10,000 connections: members keep theirs, new ones get in, and memory stays bounded."""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from node.demo.peers import Peer, swarm, wait_for_links
from protocol.identity import KeyPair
from protocol.net.limits import HostLimits
from tests.e2e.failures import Album, assert_all_is_well, photos
from tests.e2e.swarms import wait_until_settled
from tests.hostile.client import Client, CutOff, connected, dial
from tests.hostile.membership import port_of
from tests.hostile.siege import rss_bytes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CONNECTIONS = 10_000
SHAKEN_HANDS = 500
"""Of these, so many get as far as an identity each; the others stay silent, which is what costs a flood least."""
AT_ONCE = 500
GROWTH_BYTES = 150 << 20


@contextmanager
def many_files(count: int) -> Iterator[None]:
    """Let this process have `count` sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        pytest.fail(f"{count} sockets are needed, the hard limit of files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Flood:
    """Sockets to one port, from many addresses, kept open by whoever opened them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.silent: list[trio.SocketStream] = []
        self.clients: list[Client] = []
        self.refused = 0

    async def rise(self, nursery: trio.Nursery, on_the_way: "Midway") -> None:
        """Open everything; half way and at the end honest people do what they always do."""
        turns = trio.CapacityLimiter(AT_ONCE)
        for half in range(2):
            async with trio.open_nursery() as opening:
                for number in range(half * CONNECTIONS // 2, (half + 1) * CONNECTIONS // 2):
                    opening.start_soon(self._one, turns, nursery, number)
            await trio.to_thread.run_sync(on_the_way.look)

    async def _one(self, turns: trio.CapacityLimiter, nursery: trio.Nursery, number: int) -> None:
        source = f"127.0.{number % 50 + 1}.{number // 50 % 200 + 1}"
        async with turns:
            try:
                if number % (CONNECTIONS // SHAKEN_HANDS):
                    self.silent.append(await connected(self._port, source))
                else:
                    key = KeyPair(os.urandom(32))
                    self.clients.append(await dial(nursery, self._port, key, source=source))
            except (OSError, CutOff, trio.TooSlowError):
                self.refused += 1

    def fall(self) -> None:
        for stream in self.silent:
            stream.socket.close()
        for client in self.clients:
            client.close()


class Midway:
    """What goes on during the flood."""

    def __init__(self, home: Path, peers: list[Peer], album: Album) -> None:
        self._home = home
        self._peers = peers
        self._album = album
        self.rss_bytes: list[int] = []
        self.files: list[int] = []

    def look(self) -> None:
        """The members are there, an image gets its copies, and one more peer joins."""
        flooded, *_ = self._peers
        process = flooded.process
        assert process is not None
        self.rss_bytes.append(rss_bytes(flooded))
        self.files.append(len(list(Path(f"/proc/{process.pid}/fd").iterdir())))
        assert {row["sees"] for row in flooded.rows("peers")} == {"alive"}
        turn = len(self.rss_bytes)
        self._album.add(self._peers[1], photos(1, start=4 + turn), "--replicas", "2:3", "--wait", "2")
        joiner = Peer(self._home / f"joiner-{turn}", f"joiner-{turn}")
        joiner.init("--join", flooded.one("invite")["invite"])
        joiner.start()
        self._peers.append(joiner)
        wait_for_links(self._peers)


def test_ten_thousand_connections(tmp_path: Path) -> None:
    with swarm(tmp_path / "swarm", ("flooded", "other")) as peers, many_files(CONNECTIONS + 1000):
        flooded, other = peers
        album = Album()
        album.add(flooded, photos(3), "--replicas", "2:3", "--wait", "2")
        before_bytes = rss_bytes(flooded)
        since = row_times(flooded, other)
        flood = Flood(port_of(flooded.addrs))
        midway = Midway(tmp_path, peers, album)
        trio.run(flooding, flood, midway)
        assert len(flood.silent) + len(flood.clients) + flood.refused == CONNECTIONS
        assert len(flood.silent) + len(flood.clients) > CONNECTIONS * 0.9
        assert max(midway.rss_bytes) < before_bytes + GROWTH_BYTES
        assert max(midway.files) < 1000
        assert row_times(flooded, other) == since
        wait_until_settled(peers, len(album.originals))
        assert_all_is_well(peers, album)
        for joiner in peers[2:]:
            assert joiner.stop() == 0


def row_times(peer: Peer, other: Peer) -> int:
    """How often the log of a peer says that another was not alive."""
    return sum(
        "suspect" in line for line in (peer.data_dir / "daemon.log").read_text().splitlines() if other.peer_id in line
    )


async def flooding(flood: Flood, midway: Midway) -> None:
    began_s = time.monotonic()
    async with trio.open_nursery() as nursery:
        await flood.rise(nursery, midway)
        alive = sum(not client.cut.is_set() for client in flood.clients)
        assert alive <= HostLimits().stranger_connections + 1, alive
        print(f"{CONNECTIONS} connections in {time.monotonic() - began_s:.0f} s, {flood.refused} not taken")
        flood.fall()
        nursery.cancel_scope.cancel()
