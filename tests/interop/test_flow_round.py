"""A flow goes round all kinds of backend, with a real Kubo and a real S3 server, and is killed twice on the way."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.peers import Peer, founded, wait_until
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, read_back
from tests.kubo import Kubo
from tests.s3 import KEY, SECRET, S3Server

pytestmark = [pytest.mark.slow, pytest.mark.interop]

PHOTOS = sorted((Path(__file__).parents[2] / "node" / "demo" / "photos").glob("*.jpg"))[:4]
IMAGES = int(os.environ.get("PINAKOTHEK_ALBUM", "4"))
"""How many go round; those beyond the photos are made."""
MOVE_TIMEOUT_S = 240 + IMAGES
VARIANTS = ("original", "display", "large", "medium", "small", "image.json")
ROUND = ("s3", "local", "kubo", "ipfs")
KILLED = ("local", "ipfs")
PREFIX = "PINAKOTHEK_BACKENDS_"


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[list[Peer]]:
    """Anna has a Kubo, both have a directory and a place in the bucket of their own."""
    with Kubo(tmp_path / "kubo") as kubo, S3Server(tmp_path / "s3") as s3:
        s3.make_bucket("archive")
        made = []
        for name in ("anna", "bert"):
            env = {
                f"{PREFIX}LOCAL_DIRECTORY": str(tmp_path / f"archive-{name}"),
                f"{PREFIX}S3_URL": f"s3://archive/{name}",
                f"{PREFIX}S3_ENDPOINT": s3.endpoint,
                f"{PREFIX}S3_ACCESS_KEY_ID": KEY,
                f"{PREFIX}S3_SECRET_ACCESS_KEY": SECRET,
            }
            made.append(Peer(tmp_path / name, name, env=env))
        made[0].env[f"{PREFIX}KUBO_API"] = kubo.api_multiaddr
        with founded(made) as running:
            yield running


@pytest.mark.timeout(360 + 10 * IMAGES)
def test_a_flow_goes_round_all_backends(peers: list[Peer], tmp_path: Path) -> None:
    anna = peers[0]
    anna.call("charter", "set", "--counts", "ipfs,s3,local,kubo", "--replicas", "1:1")
    pictures = PHOTOS[:IMAGES] + make_pictures(max(0, IMAGES - len(PHOTOS)), tmp_path / "in", seed=71)
    roots = [row["root"] for row in anna.rows("add", *map(str, pictures), "--flow", "album")]
    before = {variant: read_back(anna, roots[0], tmp_path, variant) for variant in VARIANTS}
    for kind in ROUND:
        move(anna, kind)
        assert {row["root"] for row in anna.rows("ls", "--flow", "album")} == set(roots)
        for peer in peers:
            restored = tmp_path / f"{kind}-{peer.name}"
            peer.call("get", "--flow", "album", "-o", str(restored))
            assert all((restored / photo.name).read_bytes() == photo.read_bytes() for photo in pictures), kind
        for variant, content in before.items():
            assert read_back(anna, roots[0], tmp_path, variant) == content, f"{kind} {variant}"
    for peer in peers:
        assert_doctor_is_content(peer)


def move(peer: Peer, kind: str) -> None:
    """Move the album to a kind of backend; some moves are killed, and go on after a restart."""
    wait_until(
        lambda: not peer.run("flow", "set", "album", "--backend", kind).returncode,
        timeout_s=60,
        what=f"{kind} is offered",
    )
    if kind in KILLED:
        with subprocess.Popen(
            peer.command("flow", "migrate", "album", "--json"), stdout=subprocess.PIPE, text=True
        ) as cli:
            assert cli.stdout is not None
            assert cli.stdout.readline()
            peer.kill()
        peer.start()
        wait_until(
            lambda: not peer.run("flow", "migrate", "album", "--dry-run").returncode, timeout_s=60, what="it is back"
        )
    last = peer.rows("flow", "migrate", "album", timeout_s=MOVE_TIMEOUT_S)[-1]
    assert (last["state"], last["backend"], last["moved"]) == ("done", kind, IMAGES), last
    assert last["old_copies"] == 0
