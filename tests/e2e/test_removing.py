"""Nothing irreplaceable goes at one keystroke: removals as one operator of one real peer meets them."""

from collections.abc import Iterator

import pytest

from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.pictures import make_pictures


@pytest.fixture(scope="module")
def ada(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    home = tmp_path_factory.mktemp("removing")
    with swarm(home, ("ada",)) as [ada]:
        make_pictures(3, home / "in", seed=91, width_px=120, height_px=90)
        yield ada


def picture(ada: Peer, number: int) -> str:
    return str(sorted((ada.data_dir.parent / "in").iterdir())[number])


def test_a_root_in_several_flows_is_taken_from_the_one_that_is_named(ada: Peer) -> None:
    for flow in ("left", "right"):
        ada.call("add", "--flow", flow, "--name", "both.jpg", picture(ada, 0))
    done = ada.run("rm", "both.jpg")
    assert done.returncode == 2
    assert {"left", "right"} <= {line.strip() for line in done.stderr.splitlines()}
    ada.call("rm", "both.jpg", "--flow", "left")
    assert [row["flow"] for row in ada.rows("ls")] == ["right"]
    assert [row["flow"] for row in ada.rows("trash", "ls")] == ["left"]
    ada.call("undelete", "both.jpg", "--flow", "left")
    assert ada.rows("trash", "ls") == []


def test_a_flow_goes_only_without_live_pins_and_the_trash_is_full_of_those(ada: Peer) -> None:
    ada.call("flow", "set", "album", "--replicas", "1:1")
    ada.call("add", "--flow", "album", "--name", "a.jpg", picture(ada, 1))
    assert ada.run("flow", "rm", "album").returncode == 5
    ada.call("rm", "a.jpg", "--flow", "album")
    done = ada.run("flow", "rm", "album")
    assert done.returncode == 5
    assert "has 1 live pin, 1 in the trash" in done.stderr
    ada.call("rm", "a.jpg", "--flow", "album", "--purge")
    assert ada.one("flow", "rm", "album")["name"] == "album"
    assert "album" not in {row["name"] for row in ada.rows("flow", "ls")}
    assert ada.run("flow", "rm", "album").returncode == 3


def test_fewer_trash_days_do_not_empty_the_trash_unasked(ada: Peer) -> None:
    ada.call("add", "--flow", "short", "--name", "b.jpg", picture(ada, 1))
    ada.call("rm", "b.jpg", "--flow", "short")
    done = ada.run("charter", "set", "--trash-days", "0")
    assert done.returncode == 5
    assert "1 in the trash" in done.stderr
    ada.call("charter", "set", "--trash-days", "0", "--force")
    wait_until(lambda: ada.rows("trash", "ls") == [], timeout_s=30, what="the trash is empty")
    assert ada.run("undelete", "b.jpg").returncode == 3
    ada.call("charter", "set", "--trash-days", "30")
    for words in ((), ("--trash-days", "30")):
        assert ada.run("charter", "set", *words).returncode == 2


def test_an_append_only_charter_refuses_every_removal(ada: Peer) -> None:
    ada.call("add", "--flow", "kept", "--name", "c.jpg", picture(ada, 2))
    ada.call("flow", "set", "empty")
    ada.call("charter", "set", "--append-only")
    for words in (("rm", "c.jpg"), ("rm", "c.jpg", "--purge"), ("flow", "rm", "empty")):
        done = ada.run(*words)
        assert done.returncode == 5
        assert "append-only" in done.stderr
    ada.call("charter", "set", "--no-append-only")
    ada.call("rm", "c.jpg")
    ada.call("flow", "rm", "empty")
