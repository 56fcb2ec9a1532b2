"""The failure table, row "Kubo or S3 is down, slow, refuses, or returns wrong bytes": a real S3 server, and a proxy before it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from node.demo.peers import Peer, founded, wait_until
from tests.backends.proxy import FaultProxy, fault_proxy
from tests.e2e.failures import Album, assert_all_is_well, photos
from tests.e2e.swarms import complaints, counts, wait_until_settled
from tests.s3 import KEY, SECRET, S3Server

pytestmark = [pytest.mark.slow, pytest.mark.interop, pytest.mark.timeout(500)]
PREFIX = "PINAKOTHEK_BACKENDS_S3_"


class Swarm(NamedTuple):
    peers: list[Peer]
    album: Album
    far: list[str]
    proxy: FaultProxy


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """Ada and bob, each with a place of its own in one bucket; ada reaches it through the proxy."""
    home = tmp_path_factory.mktemp("far")
    with S3Server(home / "s3") as s3, fault_proxy(s3.port) as proxy:
        s3.make_bucket("archive")
        made = []
        for name, endpoint in (("ada", proxy.endpoint), ("bob", s3.endpoint)):
            place = {"URL": f"s3://archive/{name}", "ENDPOINT": endpoint}
            secrets = {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET}
            made.append(Peer(home / name, name, env={PREFIX + key: value for key, value in (place | secrets).items()}))
        with founded(made) as peers:
            ada = peers[0]
            ada.call("charter", "set", "--counts", "ipfs,s3", "--replicas", "2:2")
            for peer in peers:
                wait_until(
                    lambda p=peer: not p.run("flow", "set", "far", "--backend", "s3").returncode,
                    timeout_s=90,
                    what="s3 is offered",
                )
            album = Album()
            far = album.add(ada, photos(3), "--flow", "far")
            wait_until_settled(peers, 3)
            yield Swarm(peers, album, far, proxy)


@pytest.mark.parametrize("fault", ["500", "silence", "wrong bytes"])
def test_a_bucket_in_trouble_loses_nothing_and_holds_up_nothing_else(swarm: Swarm, fault: str, tmp_path: Path) -> None:
    ada, bob = swarm.peers
    swarm.proxy.fault = fault  # type: ignore[assignment]
    try:
        if fault != "wrong bytes":
            wait_until(lambda: any("s3" in name for name in complaints(ada)), timeout_s=120, what="doctor names it")
        at = len(swarm.album.originals)
        swarm.album.add(ada, photos(1, start=at), "--timeout", "60s")
        for number, root in enumerate(swarm.far):
            path = tmp_path / str(number)
            done = ada.run("get", root, "-o", str(path), timeout_s=120)
            assert done.returncode != 0 or path.read_bytes() == swarm.album.originals[root], "no wrong byte is given"
            assert "Traceback" not in done.stderr
            done = bob.run("get", root, "-o", str(path))
            assert path.read_bytes() == swarm.album.originals[root]
        assert counts(bob)["lost"] == counts(ada)["lost"] == 0
    finally:
        swarm.proxy.fault = ""
    wait_until(lambda: not complaints(ada), timeout_s=240, what="what was listed as lost is held again")
    assert_all_is_well(swarm.peers, swarm.album, timeout_s=240)
