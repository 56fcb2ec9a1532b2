"""The failure table, row "Kubo or S3 is down, slow, refuses, or returns wrong bytes": real ones, and a proxy before each.

Both are in trouble at once, each in a way of its own: a daemon waits for them side by side, and so does its test.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from node.demo.peers import Peer, founded, wait_until
from tests.backends.proxy import Fault, FaultProxy, fault_proxy
from tests.e2e.failures import Album, assert_all_is_well, photos
from tests.e2e.swarms import complaints, counts, wait_until_settled
from tests.kubo import Kubo
from tests.s3 import KEY, SECRET, S3Server

pytestmark = [pytest.mark.slow, pytest.mark.interop, pytest.mark.timeout(500)]
PREFIX = "PINAKOTHEK_BACKENDS_"
KINDS = ("s3", "kubo")


class Swarm(NamedTuple):
    """`far`: the roots on the backends; `proxies`: what ada reaches these through, by kind."""

    peers: list[Peer]
    album: Album
    far: list[str]
    proxies: dict[str, FaultProxy]


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """Ada and bob, each with a Kubo of its own and a place of its own in one bucket."""
    home = tmp_path_factory.mktemp("far")
    with (
        S3Server(home / "s3") as s3,
        Kubo(home / "kubo-ada") as adas,
        Kubo(home / "kubo-bob") as bobs,
        fault_proxy(s3.port) as s3_proxy,
        fault_proxy(int(adas.api_multiaddr.rpartition("/")[2])) as kubo_proxy,
    ):
        s3.make_bucket("archive")
        made = [
            Peer(home / "ada", "ada", env=places("ada", s3_proxy.endpoint, f"/ip4/127.0.0.1/tcp/{kubo_proxy.port}")),
            Peer(home / "bob", "bob", env=places("bob", s3.endpoint, bobs.api_multiaddr)),
        ]
        with founded(made) as peers:
            ada = peers[0]
            ada.call("charter", "set", "--counts", "ipfs,s3,kubo", "--replicas", "2:2")
            album, far = Album(), []
            for place, kind in enumerate(KINDS):
                for peer in peers:
                    wait_until(
                        lambda p=peer, k=kind: not p.run("flow", "set", k, "--backend", k).returncode,
                        timeout_s=90,
                        what=f"{kind} is offered",
                    )
                far += album.add(ada, photos(2, start=2 * place), "--flow", kind)
            wait_until_settled(peers, len(far))
            yield Swarm(peers, album, far, {"s3": s3_proxy, "kubo": kubo_proxy})


def places(name: str, s3_endpoint: str, kubo_api: str) -> dict[str, str]:
    """Where a peer's backends are, as its environment says."""
    s3 = {"URL": f"s3://archive/{name}", "ENDPOINT": s3_endpoint, "ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET}
    return {f"{PREFIX}KUBO_API": kubo_api, **{f"{PREFIX}S3_{key}": value for key, value in s3.items()}}


@pytest.mark.parametrize(
    ("s3", "kubo"), [("500", "silence"), ("silence", "hang up"), ("wrong content", "wrong content")]
)
def test_backends_in_trouble_lose_nothing_and_hold_up_nothing_else(
    swarm: Swarm, s3: Fault, kubo: Fault, tmp_path: Path
) -> None:
    ada, bob = swarm.peers
    try:
        for kind, fault in zip(KINDS, (s3, kubo), strict=True):
            swarm.proxies[kind].fault = fault
            if fault == "silence":
                add_to_one_that_is_silent(swarm, kind)
        if s3 == "wrong content":
            for kind in KINDS:
                rows = verified(ada, kind)
                assert rows
                assert not any(row["ok"] and row["held"] for row in rows), "wrong bytes are believed"
        else:
            named = {f"backend {kind}" for kind in KINDS}
            wait_until(lambda: named <= complaints(ada).keys(), timeout_s=120, what="doctor names them", every_s=1)
        swarm.album.add(ada, photos(1, start=len(swarm.album.originals)), "--timeout", "60s")
        for number, root in enumerate(swarm.far):
            path = tmp_path / str(number)
            done = ada.run("get", root, "-o", str(path), timeout_s=120)
            assert done.returncode != 0 or path.read_bytes() == swarm.album.originals[root], "no wrong byte is given"
            assert "Traceback" not in done.stderr
            bob.call("get", root, "-o", str(path))
            assert path.read_bytes() == swarm.album.originals[root]
        assert counts(bob)["lost"] == counts(ada)["lost"] == 0
    finally:
        for proxy in swarm.proxies.values():
            proxy.fault = ""
    wait_until(lambda: not complaints(ada), timeout_s=240, what="what was listed as lost is held again", every_s=1)
    assert_all_is_well(swarm.peers, swarm.album, timeout_s=240)


def add_to_one_that_is_silent(swarm: Swarm, kind: str) -> None:
    """Ada waits no longer than she says, and keeps it; bob, whose own backend is well, may even be in time."""
    [photo] = photos(1, start=len(swarm.album.originals))
    done = swarm.peers[0].run("add", "--json", "--flow", kind, "--timeout", "3s", str(photo))
    assert done.returncode in (0, 6), done.stderr
    swarm.album.originals[json.loads(done.stdout)["root"]] = photo.read_bytes()


def test_what_lies_only_on_a_backend_that_is_away_counts_again_when_that_is_back(tmp_path: Path) -> None:
    """A disk that is not mounted: its peer holds nothing there, says why, and gives nothing of it up."""
    place, away = tmp_path / "archive", tmp_path / "away"
    place.mkdir()
    with founded([Peer(tmp_path / "solo", "solo", env={f"{PREFIX}LOCAL_DIRECTORY": str(place)})]) as [peer]:
        peer.call("charter", "set", "--counts", "ipfs,local")
        wait_until(
            lambda: not peer.run("flow", "set", "archive", "--backend", "local").returncode,
            timeout_s=90,
            what="local is offered",
        )
        album = Album()
        album.add(peer, photos(1), "--flow", "archive")
        place.rename(away)
        place.mkdir()
        wait_until(lambda: counts(peer)["lost"] == 1, timeout_s=120, what="its copy counts for nothing", every_s=1)
        wait_until(
            lambda: "backend local cannot be asked" in complaints(peer).get("lost", ""),
            timeout_s=60,
            what="it says why",
        )
        place.rmdir()
        away.rename(place)
        wait_until(lambda: not complaints(peer), timeout_s=120, what="its copy counts again", every_s=1)
        assert counts(peer)["lost"] == 0
        album.assert_readable(peer)


def verified(peer: Peer, flow: str) -> list[dict[str, object]]:
    """What `verify` says of each image of a flow."""
    return [json.loads(line) for line in peer.run("verify", "--flow", flow, "--json").stdout.splitlines()]
