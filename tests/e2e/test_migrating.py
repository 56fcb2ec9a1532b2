"""A flow moves between kinds of backend with its images in it: same roots, same bytes, whatever happens on the way."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.demo.peers import Peer, founded, wait_until
from tests.e2e.swarms import assert_doctor_is_content, read_back

pytestmark = pytest.mark.slow

PHOTOS = sorted((Path(__file__).parents[2] / "node" / "demo" / "photos").glob("*.jpg"))
VARIANTS = ("original", "small", "image.json")
PATIENCE_S = 240.0


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Peer]]:
    """Two peers, each with a directory of its own as the backend `local`."""
    home = tmp_path_factory.mktemp("migrating")
    made = [
        Peer(home / name, name, env={"PINAKOTHEK_BACKENDS_LOCAL_DIRECTORY": str(home / f"archive-{name}")})
        for name in ("anna", "bert")
    ]
    with founded(made) as peers:
        yield peers


@pytest.fixture(scope="module")
def album(peers: list[Peer], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The flow's images as they were taken in: root -> variant -> bytes."""
    home = tmp_path_factory.mktemp("before")
    added = peers[0].rows("add", *map(str, PHOTOS[:5]), "--flow", "album", "--wait", "2")
    return {row["root"]: {v: read_back(peers[0], row["root"], home, v) for v in VARIANTS} for row in added}


def migrate(peer: Peer) -> dict[str, Any]:
    """The last line of a migration, which is done."""
    rows = peer.rows("flow", "migrate", "album", timeout_s=PATIENCE_S)
    assert rows[-1]["state"] == "done"
    return rows[-1]


def archived(peer: Peer) -> dict[str, Path]:
    """The roots in a peer's directory, each with its folder."""
    directory = Path(peer.env["PINAKOTHEK_BACKENDS_LOCAL_DIRECTORY"])
    return {path.name: path for path in directory.glob("images/*/*")}


def check(peers: list[Peer], album: dict[str, dict[str, bytes]], home: Path) -> None:
    for peer in peers:
        assert {row["root"] for row in peer.rows("ls", "--flow", "album")} == set(album)
        for root, variants in album.items():
            for variant, content in variants.items():
                assert read_back(peer, root, home, variant) == content, f"{peer.name} {root} {variant}"


def test_a_backend_that_does_not_count_or_that_nobody_offers_is_refused(peers: list[Peer]) -> None:
    uncounted = peers[0].run("flow", "set", "album", "--backend", "local")
    assert uncounted.returncode == 5
    assert "the charter counts copies on ipfs, kubo only" in uncounted.stderr
    unoffered = peers[0].run("flow", "set", "album", "--backend", "kubo")
    assert unoffered.returncode == 5
    assert "no keeper that is here offers it" in unoffered.stderr


def test_a_flow_moves_to_another_backend(peers: list[Peer], album: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    anna = peers[0]
    anna.call("charter", "set", "--counts", "ipfs,local", "--replicas", "1:2")
    wait_until(
        lambda: not anna.run("flow", "set", "album", "--backend", "local").returncode,
        timeout_s=60,
        what="local is offered",
    )
    planned = anna.rows("flow", "migrate", "album", "--dry-run")
    assert {(row["root"], row["backend"], row["to"]) for row in planned} == {(r, "ipfs", "local") for r in album}
    done = migrate(anna)
    assert (done["images"], done["moved"], done["old_copies"]) == (len(album), len(album), 0)
    [job] = anna.rows("jobs", "--kind", "migrate")
    assert (job["id"], job["name"], job["state"], job["step"]) == (done["job"], "album", "done", "left")
    assert (job["result"]["moved"], job["progress"]) == (len(album), 1.0)
    assert anna.rows("flow", "migrate", "album", "--dry-run") == []
    for peer in peers:
        folders = archived(peer)
        assert {root: (folder / "original.jpg").read_bytes() for root, folder in folders.items()} == {
            root: variants["original"] for root, variants in album.items()
        }
    check(peers, album, tmp_path)


def test_new_images_go_where_the_flow_says(peers: list[Peer], tmp_path: Path) -> None:
    anna, bert = peers
    [added] = anna.rows("add", str(PHOTOS[6]), "--flow", "fresh", "--wait", "2")
    anna.call("flow", "set", "fresh", "--backend", "local")
    [later] = anna.rows("add", str(PHOTOS[7]), "--flow", "fresh", "--wait", "2")
    for peer in peers:
        assert later["root"] in archived(peer)
        assert added["root"] not in archived(peer)
    assert read_back(bert, later["root"], tmp_path) == PHOTOS[7].read_bytes()


def test_a_move_that_was_killed_goes_on(peers: list[Peer], album: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    anna = peers[0]
    anna.call("flow", "set", "album", "--backend", "ipfs")
    with subprocess.Popen(anna.command("flow", "migrate", "album", "--json"), stdout=subprocess.PIPE, text=True) as cli:
        assert cli.stdout is not None
        begun = json.loads(cli.stdout.readline())
        assert begun["state"] == "moving"
        anna.kill()
    assert cli.returncode == 4
    anna.start()
    done = migrate(anna)
    assert anna.one("jobs", "show", str(begun["job"]))["state"] == "done"
    assert (done["backend"], done["moved"], done["old_copies"]) == ("ipfs", len(album), 0)
    check(peers, album, tmp_path)
    for peer in peers:
        assert_doctor_is_content(peer)


def test_an_operator_forbids_a_backend_at_the_start(peers: list[Peer]) -> None:
    bert = peers[1]
    assert bert.stop() == 0
    bert.run_options = (*bert.run_options, "--allow-backends", "ipfs")
    bert.start()
    refused = bert.run("flow", "set", "album", "--backend", "local")
    assert refused.returncode == 5
    assert "backend local: this peer's operator allows ipfs only" in refused.stderr
    assert [row["check"] for row in bert.rows("doctor") if row["check"].startswith("backend ")] == []
