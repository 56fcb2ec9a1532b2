"""SIGKILL of the adding daemon at random instants: what was acknowledged is whole, what was not leaves nothing."""

import json
import os
import random
import subprocess
import threading
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, read_back

SEED = int(os.environ.get("PINAKOTHEK_SEED", "20261123"))
LATEST_KILL_S = 1.5
"""An `add` of the batch below takes about this long, so that kills fall on all of its steps."""


@pytest.mark.timeout(120)
def test_five_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill_often(tmp_path, kills=5)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_two_hundred_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill_often(tmp_path, kills=200)


def kill_often(home: Path, kills: int) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    kept: dict[str, Path] = {}
    with swarm(home / "swarm", ("solo",)) as [peer]:
        for turn in range(kills):
            batch = make_pictures(6, home / "in", seed=100 + turn)
            kept |= add_and_kill(peer, batch, after_s=chance.uniform(0.02, LATEST_KILL_S))
            peer.start()
            assert_doctor_is_content(peer)
            check(peer, kept, chance.sample(sorted(kept), min(4, len(kept))), home)
        check(peer, kept, sorted(kept), home)


def add_and_kill(peer: Peer, batch: list[Path], after_s: float) -> dict[str, Path]:
    """Start an `add`, SIGKILL the daemon meanwhile; root → file of what was acknowledged before."""
    adding = subprocess.Popen(
        peer.command("add", "--json", *map(str, batch)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    timer = threading.Timer(after_s, peer.kill)
    timer.start()
    output, _ = adding.communicate(timeout=60)
    timer.join()
    rows = [json.loads(line) for line in output.splitlines()]
    return {r["root"]: Path(r["path"]) for r in rows if r["error"] is None}


def check(peer: Peer, kept: dict[str, Path], roots: list[str], home: Path) -> None:
    for root in roots:
        assert read_back(peer, root, home) == kept[root].read_bytes()
