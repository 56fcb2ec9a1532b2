"""kill -9 of a process that adds images, at random instants: what it said it had added is whole, and nothing else is left."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from store.blocks import key_of
from store.store import Store
from tests.crash.scenarios import HOUR_MS, Images, have, no_litter, records

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("PINAKOTHEK_KILLS", "20"))
"""Of the slow form; `scripts/soak kills` sets 200."""
KILLS_A_STORE = 20
"""After so many the next store begins: each kill is followed by a look at all that the store has ever taken in."""
STEP = 1_000_000
"""Numbers of images that one process may use."""


def run_and_kill(home: Path, first: int, lines_wanted: int) -> list[str]:
    """Let an adder run until it has said so many lines, kill it a moment later, and return all that it said."""
    command = [sys.executable, "-m", "tests.crash.adder", str(home), str(first)]
    said: list[str] = []
    enough = threading.Event()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as adder:
        assert adder.stdout is not None

        def listen(lines: object = adder.stdout) -> None:
            for line in lines:  # type: ignore[attr-defined]
                if line.endswith("\n"):
                    said.append(line.strip())
                if len(said) >= lines_wanted:
                    enough.set()
            enough.set()

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            assert enough.wait(120)
        finally:
            adder.send_signal(signal.SIGKILL)
            listener.join()
    assert adder.returncode == -signal.SIGKILL
    return said


def check_after(home: Path, said: list[str]) -> None:
    added = {int(line.split()[1]) for line in said if line.startswith("added")}
    removing = {int(line.split()[1]) for line in said if line.startswith("removing")}
    store = Store.open(home)
    try:
        assert not store.rebuilt
        no_litter(store)
        held = {held.root for held in store.holdings()}
        numbers = set(records(store))
        assert numbers >= added - removing
        assert {Images.root(number) for number in numbers} <= held
        for number in numbers:
            have(store, Images.blocks(number))
        store.collect(store._clock_ms() + 2 * HOUR_MS)
        still_held = [number for number in numbers | removing if Images.root(number) in held]
        assert len(still_held) == len(held)
        owned = {key_of(cid): len(block) for number in still_held for cid, block in Images.blocks(number)}
        assert store.used_bytes() == sum(owned.values())
        assert store.scrub().bad == ()
        no_litter(store)
    finally:
        store.close()


def kill_often(home: Path, times: int, seed: int = 0) -> None:
    chance = random.Random(seed)
    said: list[str] = []
    for round_ in range(times):
        said += run_and_kill(home, round_ * STEP, chance.randint(1, 120))
        check_after(home, said)


def test_killed_at_random_instants(tmp_path: Path) -> None:
    kill_often(tmp_path / "store", times=4)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_kills_at_random_instants(tmp_path: Path) -> None:
    for begin in range(0, KILLS, KILLS_A_STORE):
        kill_often(tmp_path / f"store-{begin}", times=min(KILLS_A_STORE, KILLS - begin), seed=begin)
