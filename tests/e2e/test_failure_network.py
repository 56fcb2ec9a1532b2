"""The failure table, rows of the network: a host gone silent, a split and its end, a one-way link.

One swarm of five hosts; every test leaves it healed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.peers import Peer, wait_for_links, wait_until
from tests.e2e.failures import (
    REPAIR_TIMEOUT_S,
    Album,
    alerts,
    assert_all_is_well,
    photos,
    row_of,
    wait_until_seen,
    watched,
)
from tests.e2e.namespaces import Network, networked_swarm
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import complaints, counts, wait_until_none_below, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

NAMES = ("ada", "bob", "cyd", "dan", "eve")
SOON_DOWN = {"PINAKOTHEK_REPAIR_AFTER": "30s"}

Swarm = tuple[Network, list[Peer], Album]


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with networked_swarm(tmp_path_factory.mktemp("net"), NAMES, env=SOON_DOWN) as (network, peers):
        album = Album()
        album.add(peers[0], photos(4), "--replicas", "2:3")
        album.add(peers[1], photos(4, start=4), "--replicas", "3:3")
        wait_until_settled(peers, 8)
        yield network, peers, album


def test_a_host_gone_silent(swarm: Swarm, tmp_path: Path) -> None:
    network, peers, album = swarm
    *rest, eve = peers
    with watched(rest[0], tmp_path) as events:
        network.silence("eve")
        events.wait_for("peer_suspect", eve)
        wait_until_seen(rest, eve, "suspect", "down")
        events.wait_for("peer_down", eve)
    wait_until_settled(rest, 8)
    held = row_of(eve, eve)["roots"]
    wait_until(lambda: is_alone(eve, held), timeout_s=90, what="eve knows that she is alone")
    assert held == 8 or "lost" in complaints(eve)
    album.assert_readable(rest[0])
    network.heal()
    wait_for_links(peers, timeout_s=120)
    assert_all_is_well(peers, album)


def test_a_split_and_its_end(swarm: Swarm) -> None:
    network, peers, album = swarm
    most, few = peers[:3], peers[3:]
    before = len(album.originals)
    network.split(NAMES[:3], NAMES[3:])
    for here, there in ((most, few), (few, most)):
        for peer in there:
            wait_until_seen(here, peer, "suspect", "down")
    album.add(most[0], photos(2, start=8), "--replicas", "3:3", "--wait", "3")
    album.add(few[0], photos(2, start=10), "--replicas", "3:3", "--wait", "2")
    assert few[0].run("add", "--wait", "3", str(photos(1)[0])).returncode == 5
    for peer in few:
        for unseen in most:
            wait_until_seen([peer], unseen, "down")
    wait_until_settled(most, before + 2)
    network.heal()
    wait_for_links(peers, timeout_s=120)
    assert_all_is_well(peers, album)


def test_a_one_way_link(swarm: Swarm, tmp_path: Path) -> None:
    """Neither side counts it as a link, and what only one of the two holds reaches the other through a third.

    A copy too many of which one of the two is to have the lease and the other holds it stays until the link is back.
    """
    network, peers, album = swarm
    ada, bob, *_ = peers
    network.mute("ada", towards="bob")
    for peer, other in ((ada, bob), (bob, ada)):
        wait_until(lambda p=peer, o=other: not row_of(p, o)["linked"], timeout_s=90, what="the link is given up")
        assert other.name in alerts(peer)["links"]
        assert row_of(peer, other)["sees"] == "alive"
    pictures = make_pictures(20, tmp_path / "in", seed=90, width_px=160, height_px=120)
    album.add(ada, pictures, "--replicas", "2:2")
    wait_until_none_below(peers, len(album.originals), REPAIR_TIMEOUT_S)
    for peer in peers:
        album.assert_readable(peer)
    network.heal()
    wait_until(lambda: row_of(ada, bob)["linked"] and row_of(bob, ada)["linked"], timeout_s=150, what="a link again")
    assert_all_is_well(peers, album)
    assert "links" not in alerts(ada)


def is_alone(peer: Peer, held: int) -> bool:
    """Whether a peer counts what it holds itself, and the rest as lost as far as it knows: that is what its doctor is to say."""
    now = counts(peer)
    return (now["below_min"], now["lost"]) == (held, now["total"] - held)
