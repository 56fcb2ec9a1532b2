"""A bug in a part of the daemon: it ends, with exit code 1, and its log says what and where, whatever else still runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from node.demo.peers import COMMAND, Peer

BUG = """
import sys, time, trio
from node import last_resort
from node.cli import main
from node.running import Daemon

last_resort.STOP_LIMIT_S = 0.5

hung_s = float(sys.argv.pop())

async def tick_with_a_bug(self):
    await trio.sleep(0.1)
    raise ZeroDivisionError("the bug of this test")

async def hang(self):
    await trio.to_thread.run_sync(time.sleep, hung_s)  # such as a thread at a bucket
    await trio.sleep_forever()

Daemon.tasks = lambda self, before=Daemon.tasks: (*before(self), lambda: hang(self))
Daemon._tick = tick_with_a_bug
main()
"""


@pytest.mark.parametrize("hung_s", ["0", "180"], ids=["nothing hangs", "a thread hangs"])
def test_a_bug_in_a_part_is_told_and_ends_the_daemon(tmp_path: Path, hung_s: str) -> None:
    peer = Peer(tmp_path / "ada", "ada")
    peer.init()
    command = [
        sys.executable,
        "-c",
        BUG,
        *peer.command("run", "--listen", peer.listen, *peer.run_options)[len(COMMAND) :],
        hung_s,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 1
    assert "a bug stopped the daemon; please report it" in done.stderr
    assert "the bug of this test" in done.stderr
    assert "tick_with_a_bug" in done.stderr, "the traceback"
