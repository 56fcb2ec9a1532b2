"""SIGTERM and SIGINT at bad moments: a clean end within 10 s (DESIGN §11), and what was acknowledged is there."""

import json
import signal
import subprocess
from pathlib import Path

from node.demo.peers import Peer, swarm, wait_for_links, wait_until
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, counts, read_back

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
        wait_until(lambda: peer.one("status")["work"]["running"] > 0, timeout_s=30, what="the add to begin")
        assert end(peer, signal.SIGTERM) == 0
        output, errors = adding.communicate(timeout=60)
        assert adding.returncode in (1, 4)
        assert "Traceback" not in errors
    return [json.loads(line) for line in (*lines, *output.splitlines())]


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
            wait_until(lambda: peer.one("status")["work"]["running"] > 0, timeout_s=30, what="the add to begin")
            peer.signal(signal.SIGINT)
            peer.signal(signal.SIGINT)
            assert peer.process.wait(CLEAN_END_S) in (0, -signal.SIGINT)
            peer.kill()
        peer.start()
        assert_doctor_is_content(peer)
