"""The failure table, rows of a hostile member: it lies about holdings, forges another's heartbeat, replays gossip.

Three honest daemons and one member that runs no daemon but a network of its own (`tests.e2e.mallory`).
"""

import time
from collections.abc import Iterator

import pytest
import trio

from node.demo.peers import Peer, swarm, wait_until
from node.swarm.names import beat_topic
from protocol.beat import sign_beat
from protocol.identity import KeyPair
from protocol.invite import parse_invite
from store.cid import parse_cid
from tests.e2e.failures import Album, assert_all_is_well, holders, photos, row_of, wait_until_seen
from tests.e2e.mallory import Mallory, mallory
from tests.e2e.swarms import wait_until_settled
from tests.hostile.client import dialled
from tests.hostile.gossip import MESHSUB, rpc_of, signed
from tests.hostile.membership import port_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SMALLER = {"PINAKOTHEK_REPAIR_AFTER": "30s", "PINAKOTHEK_CAPACITY": "20GiB"}
"""Than mallory: so placement names it for most roots, and yet half of the capacity does not go with it."""
CUT_S = 20.0
REPLAYED_S = 25.0
"""Longer than `suspect_after`."""

Band = tuple[list[Peer], Mallory, Album]


@pytest.fixture(scope="module")
def band(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Band]:
    home = tmp_path_factory.mktemp("hostile")
    with swarm(home, ("ada", "bob", "cyd"), env=SMALLER) as peers:
        line = peers[0].one("invite")["invite"]
        bad = Peer(home / "mallory", "mallory")
        bad.init("--join", line)
        album = Album()
        album.add(peers[0], photos(8), "--replicas", "2:3", "--wait", "3")
        album.add(peers[1], photos(4, start=8), "--replicas", "2:2", "--wait", "2")
        wait_until_settled(peers, 12)
        with mallory(bad, parse_invite(line).swarm_id) as member:
            for peer in peers:
                member.reach(peer)
            wait_until_seen(peers, bad, "alive")
            yield peers, member, album


def assert_still_well(band: Band) -> None:
    peers, _, album = band
    for peer in peers:
        wait_until_seen([peer], next(p for p in peers if p is not peer), "alive")
    assert_all_is_well(peers, album)


def test_forging_anothers_heartbeat(band: Band) -> None:
    """Under its own name it costs the connection at once, with every peer that hears of it; under bob's it is no message."""
    (ada, bob, cyd), member, _ = band
    beat = member.beat()
    member.say(beat_topic, sign_beat(beat, KeyPair(b"b" * 32)))
    wait_until(lambda: not member.is_connected(ada), timeout_s=CUT_S, what="ada cuts mallory off")
    wait_until(lambda: "refused" in said_of(ada, member), timeout_s=CUT_S, what="ada says why")
    trio.run(forge, member, ada)
    assert row_of(ada, bob)["sees"] == row_of(ada, cyd)["sees"] == "alive"
    assert row_of(ada, bob)["name"] == "bob"
    wait_until(lambda: "false signature" in said_of(ada, member), timeout_s=CUT_S, what="ada says why")
    assert_still_well(band)


async def forge(member: Mallory, victim: Peer) -> None:
    """Bob's last message with another content, as if mallory passed it on."""
    forged = signed(KeyPair(b"b" * 32), beat_topic(member.swarm_id), b"I am bob", time.time_ns())
    forged.data = b"I am Bob"
    async with dialled(port_of(victim.addrs), member.key) as client:
        await client.open(MESHSUB, rpc_of([forged]))
        with trio.fail_after(CUT_S):
            await client.cut.wait()


def said_of(peer: Peer, member: Mallory) -> str:
    """Lines of a peer's log that name mallory."""
    lines = (peer.data_dir / "daemon.log").read_text().splitlines()
    return "\n".join(line for line in lines if member.key.peer_id in line and ("cut" in line or "disconnected" in line))


def test_replaying_gossip(band: Band) -> None:
    """The last words of a dead peer, said again and again, do not make it live."""
    (ada, bob, cyd), member, _ = band
    for peer in (ada, bob, cyd):
        member.reach(peer)  # whoever was cut off may come back
    wait_until(lambda: len(member.heard.get(cyd.peer_id, ())) >= 3, timeout_s=60, what="mallory heard cyd")
    cyd.kill()
    replayed = trio.run(replay, member, ada, cyd)
    assert replayed > 100
    assert row_of(ada, cyd)["sees"] in ("suspect", "down")
    assert row_of(ada, bob)["sees"] == "alive"
    cyd.start()
    wait_until_seen([ada, bob], cyd, "alive")
    assert_still_well(band)


async def replay(member: Mallory, victim: Peer, dead: Peer) -> int:
    """Everything that was heard of a peer, for longer than silence takes to be noticed; how many messages that were."""
    sent = 0
    with trio.move_on_after(REPLAYED_S):
        while True:
            async with dialled(port_of(victim.addrs), member.key) as client:
                stream = await client.open(MESHSUB)
                while not client.cut.is_set():
                    for message in member.heard[dead.peer_id]:
                        await client.send(stream, rpc_of([message]))
                        sent += 1
                    await trio.sleep(0.2)
    return sent


def test_lying_about_holdings(band: Band) -> None:
    """It says that it holds everything and signs leases for it; nobody lets a real copy go on that, nor fails to read."""
    peers, member, album = band
    ada = peers[0]
    before = {root: holders(ada, root) for root in album.originals}
    for peer in peers:
        if not member.is_connected(peer):
            member.reach(peer)
    member.claim([parse_cid(root) for root in album.originals])
    for root in album.originals:
        wait_until(lambda r=root: member.key.peer_id in holders(ada, r), timeout_s=60, what="ada believes mallory")
    wait_until(lambda: member.leases_asked, timeout_s=90, what="somebody wants to let a copy go")
    for peer in peers:
        album.assert_readable(peer)
    wait_until(lambda: unproven(ada), timeout_s=60, what="an audit")
    for root, real in before.items():
        assert holders(ada, root) >= real, root
    member.leases_asked.clear()


def unproven(peer: Peer) -> int:
    """How many copies of others this peer could not have proven now."""
    found = peer.one("audit")
    return int(found["silent"]) + int(found["wrong"])


def test_after_the_liar_is_gone_all_is_as_it_was(band: Band) -> None:
    (ada, *_), member, _ = band
    ada.call("expel", member.key.peer_id, "--force")
    assert_still_well(band)
