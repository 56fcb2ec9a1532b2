"""The failure table, row "SIGTERM during anything": a clean end within 10 s, and what was acknowledged is there."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from node.control.client import Control
from node.demo.peers import Peer, swarm, wait_for_links, wait_until
from tests.e2e.failures import Album, alerts, assert_all_is_well, row_of
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, counts, read_back, wait_until_settled

CLEAN_END_S = 10.0


def end(peer: Peer, number: int) -> int:
    """Signal the daemon; its exit code, where it ended in time."""
    assert peer.process is not None
    peer.signal(number)
    code = peer.process.wait(CLEAN_END_S)
    peer.kill()
    return code


def test_sigterm_during_an_add(tmp_path: Path) -> None:
    with swarm(tmp_path / "s", ("solo",)) as [peer]:
        for turn, acknowledged in enumerate((0, 1, 3)):
            pictures = make_pictures(12, tmp_path / "in", seed=60 + turn, width_px=1600, height_px=1200)
            rows = interrupted_add(peer, pictures, acknowledged)
            peer.start()
            kept = {row["root"]: Path(row["path"]) for row in rows if row["root"]}
            for root, path in kept.items():
                assert read_back(peer, root, tmp_path) == path.read_bytes()
            for row in rows:
                assert row["root"] or row["error"]
            assert_doctor_is_content(peer)


def interrupted_add(peer: Peer, pictures: list[Path], acknowledged: int) -> list[dict[str, str]]:
    """The rows of an `add` whose daemon is stopped after so many acknowledgements, cleanly."""
    words = peer.command("add", "--json", *map(str, pictures))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as adding:
        assert adding.stdout is not None
        lines = [adding.stdout.readline() for _ in range(acknowledged)]
        if not acknowledged:
            wait_until(lambda: is_working(peer), timeout_s=30, what="the add to begin", every_s=0.02)
        assert end(peer, signal.SIGTERM) == 0
        output, errors = adding.communicate(timeout=60)
        assert adding.returncode in (1, 4)
        assert "Traceback" not in errors
    return [json.loads(line) for line in (*lines, *output.splitlines())]


def is_working(peer: Peer) -> bool:
    """Whether a job runs; asked without a command, which takes longer than some jobs."""
    with Control(peer.data_dir) as control:
        return int(control.call("GET", "/v1/status")["work"]["running"]) > 0


def test_sigterm_during_a_fetch(tmp_path: Path) -> None:
    with swarm(tmp_path / "s", ("ada", "bob")) as [ada, bob]:
        pictures = make_pictures(24, tmp_path / "in", seed=70, width_px=1600, height_px=1200)
        ada.call("add", "--replicas", "2:2", "--original-only", *map(str, pictures[:4]))
        adding = subprocess.Popen(
            ada.command("add", "--replicas", "2:2", "--original-only", *map(str, pictures[4:])),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: counts(bob)["at_target"] > 0, timeout_s=60, what="bob fetches")
        assert end(bob, signal.SIGTERM) == 0
        assert adding.wait(120) == 0
        bob.start()
        wait_for_links([ada, bob])
        wait_until(lambda: counts(ada)["at_target"] == len(pictures), timeout_s=100, what="all is at target")
        assert_doctor_is_content(bob)
        assert end(ada, signal.SIGTERM) == 0


def test_ctrl_c_ends_it_and_a_second_one_at_once(tmp_path: Path) -> None:
    with swarm(tmp_path / "s", ("solo",)) as [peer]:
        assert end(peer, signal.SIGINT) == 0
        peer.start()
        assert peer.process is not None
        pictures = make_pictures(8, tmp_path / "in", seed=80, width_px=1600, height_px=1200)
        with subprocess.Popen(
            peer.command("add", *map(str, pictures)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ):
            wait_until(lambda: is_working(peer), timeout_s=30, what="the add to begin", every_s=0.02)
            peer.signal(signal.SIGINT)
            peer.signal(signal.SIGINT)
            assert peer.process.wait(CLEAN_END_S) in (0, -signal.SIGINT)
            peer.kill()
        peer.start()
        assert_doctor_is_content(peer)


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_sigterm_during_a_release_a_sync_a_recovery_and_a_drain(tmp_path: Path) -> None:
    with swarm(tmp_path / "s", ("ada", "bob", "cyd", "dan")) as peers:
        ada, bob, cyd, dan = peers
        for peer in peers:  # an address that others find again after a restart
            peer.listen = peer.addrs[0].partition("/p2p/")[0]
        album = Album()
        ada.call("flow", "set", "album", "--replicas", "4:4")
        pictures = make_pictures(60, tmp_path / "in", seed=90, width_px=160, height_px=120)
        album.add(ada, pictures, "--flow", "album")
        wait_until_settled(peers, 60)

        ada.call("flow", "set", "album", "--replicas", "2:2")
        wait_until(
            lambda: counts(bob)["above_target"] or row_of(bob, bob)["roots"] < 60, timeout_s=60, what="a release"
        )
        assert end(bob, signal.SIGTERM) == 0

        album.add(ada, make_pictures(60, tmp_path / "in", seed=91, width_px=160, height_px=120), "--flow", "album")
        for _ in range(3):  # at once, while it syncs and fetches
            bob.start()
            assert end(bob, signal.SIGTERM) == 0

        for path in bob.data_dir.glob("catalogue.db*"):
            path.unlink()
        for _ in range(2):
            bob.start()
            assert end(bob, signal.SIGTERM) == 0
        bob.start()
        wait_until(lambda: bob.one("status")["state"] == "active", timeout_s=90, what="bob has recovered")
        wait_for_links(peers)
        assert_all_is_well(peers, album)

        with subprocess.Popen(dan.command("drain"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as draining:
            wait_until(lambda: dan.one("status")["state"] == "draining", timeout_s=60, what="dan drains")
            assert end(dan, signal.SIGTERM) == 0
            assert draining.wait(60) != 0
        dan.start()
        wait_until(lambda: has_left_or_says_why_not(dan), timeout_s=150, what="dan has left")
        assert end(dan, signal.SIGTERM) == 0
        assert_all_is_well([ada, bob, cyd], album)


def has_left_or_says_why_not(peer: Peer) -> bool:
    """A lease of a release that was cut short binds it for up to an hour."""
    with Control(peer.data_dir) as control:
        return "left" in alerts(peer) or "promise" in (control.call("GET", "/v1/drain")["waiting"] or "")
