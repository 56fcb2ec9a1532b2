"""SIGKILL of the adding daemon at random instants: what was acknowledged is whole, what was not leaves nothing.

The files are sent over the control socket, as `pinakothek add` does, but from here: that spares 200 starts of the
command line, and puts the clock of the kill on the request itself.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.control.client import Control
from node.demo.peers import Peer, PeerFailed, swarm
from node.errors import UserError
from store.store import Store
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content

SEED = int(os.environ.get("PINAKOTHEK_SEED", "20261123"))
KILLS = int(os.environ.get("PINAKOTHEK_KILLS", "10"))
"""`scripts/soak` has twenty times as many."""
BATCH = 6
EARLY_S = 0.02
"""The first moments of an `add`: the files are read and their blocks are put."""
LATE_S = 0.03
"""After an acknowledgement: the next picture is between its variants and its pin."""
START_S = 1.5


class Instants:
    """When the kills fall: soon after the requests, anywhere in the `add`, soon after some acknowledgement."""

    def __init__(self, chance: random.Random, typical_s: float) -> None:
        self._chance = chance
        self._typical_s = typical_s

    def draw(self) -> tuple[int, float]:
        """How many acknowledgements to wait for, and how many seconds from then."""
        kind = self._chance.random()
        if kind < 0.15:
            return 0, self._chance.uniform(0, EARLY_S)
        if kind < 0.5:
            return 0, self._chance.uniform(0, self._typical_s)
        return self._chance.randrange(1, BATCH), self._chance.uniform(0, LATE_S)


@pytest.mark.timeout(300)
def test_five_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill_often(tmp_path, kills=5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill_often(tmp_path, kills=KILLS)


def kill_often(home: Path, kills: int) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    kept: dict[str, Path] = {}
    acknowledged: Counter[int] = Counter()
    with swarm(home / "swarm", ("solo",)) as [peer]:
        began_s = time.monotonic()
        kept |= add(peer, pictures(home, 0), threading.Semaphore(0))
        assert len(kept) == BATCH
        instants = Instants(chance, typical_s=time.monotonic() - began_s)
        for turn in range(1, kills + 1):
            now_kept = add_and_kill(peer, pictures(home, turn), *instants.draw())
            acknowledged[len(now_kept)] += 1
            kept |= now_kept
            start_again(peer, chance)
            assert_doctor_is_content(peer)
            check(peer, kept, chance.sample(sorted(kept), 4))
        check(peer, kept, sorted(kept))
        assert {r["root"] for r in peer.rows("ls")} >= set(kept)
        assert peer.stop() == 0
        assert_every_block_is_whole(peer.data_dir)
    print(f"acknowledged of {BATCH} → turns: {sorted(acknowledged.items())}")
    within = sum(turns for count, turns in acknowledged.items() if 0 < count < BATCH)
    assert within >= kills / 5, acknowledged


def pictures(home: Path, turn: int) -> list[Path]:
    return make_pictures(BATCH, home / "in", seed=100 + turn, width_px=480, height_px=360)


def add(peer: Peer, batch: list[Path], acknowledged: threading.Semaphore) -> dict[str, Path]:
    """Add all of `batch` at once; root → file of what was acknowledged, which `acknowledged` counts as it happens."""

    def add_one(path: Path) -> tuple[str, Path] | None:
        try:
            with Control(peer.data_dir) as control:
                row = control.call("POST", "/v1/add", {"path": str(path), "options": {}})
        except UserError:
            return None
        acknowledged.release()
        return row["root"], path

    with ThreadPoolExecutor(len(batch)) as pool:
        return dict(filter(None, pool.map(add_one, batch)))


def add_and_kill(peer: Peer, batch: list[Path], acknowledgements: int, after_s: float) -> dict[str, Path]:
    """Start an `add`, SIGKILL the daemon meanwhile; root → file of what was acknowledged before."""
    acknowledged = threading.Semaphore(0)

    def kill_when_due() -> None:
        for _ in range(acknowledgements):
            acknowledged.acquire(timeout=60)
        timer = threading.Timer(after_s, peer.kill)
        timer.start()
        timer.join()

    killing = threading.Thread(target=kill_when_due)
    killing.start()
    kept = add(peer, batch, acknowledged)
    killing.join()
    return kept


def start_again(peer: Peer, chance: random.Random) -> None:
    """Start the daemon; once in eight times it is killed at that, too."""
    if chance.random() < 1 / 8:
        with killed_after(peer, chance.uniform(0, START_S)):
            try:
                peer.start()
            except PeerFailed:
                peer.start()
            else:
                return
    else:
        peer.start()


@contextmanager
def killed_after(peer: Peer, after_s: float) -> Iterator[None]:
    def kill() -> None:
        if peer.process is not None:  # the next start may be about to begin
            peer.signal(signal.SIGKILL)

    timer = threading.Timer(after_s, kill)
    timer.start()
    yield
    timer.cancel()


def check(peer: Peer, kept: dict[str, Path], roots: list[str]) -> None:
    """Each of `roots` is whole: its original byte for byte, and every file of its directory readable."""
    with Control(peer.data_dir) as control:
        for root in roots:
            assert control.open("GET", f"/v1/content/{root}/original").read() == kept[root].read_bytes()
            for variant in ("small", "display", "image.json"):
                assert control.open("GET", f"/v1/content/{root}/{variant}").read()


def assert_every_block_is_whole(data_dir: Path) -> None:
    store = Store.open(data_dir)
    try:
        found = store.scrub()
        assert (found.bad, found.unreadable, found.finished) == ((), (), True)
    finally:
        store.close()
