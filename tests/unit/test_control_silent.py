"""A daemon that does not answer, as its clients meet it: each waits for so long only, and says what to do."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from node.control.address import reachable, socket_path
from node.control.client import Control
from node.control.listener import listen
from node.errors import TimedOut


def test_a_daemon_that_does_not_answer_is_a_time_out(tmp_path: Path) -> None:
    with listen(socket_path(tmp_path)), pytest.raises(TimedOut, match="did not answer within 0 s") as silent:
        Control(tmp_path).call("GET", "/v1/status", timeout_s=0.05)
    assert silent.value.exit_code == 6
    assert f"its process, {os.getpid()}, is busy or stuck" in (silent.value.hint or "")


def test_a_daemon_that_takes_in_nobody_is_a_time_out(tmp_path: Path) -> None:
    """Who gives up stays in its queue: a stopped daemon's is full once it was asked some hundred times."""
    with listen(socket_path(tmp_path)), ExitStack() as waiting, reachable(socket_path(tmp_path)) as address:
        with pytest.raises(BlockingIOError):
            while True:
                one = waiting.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                one.setblocking(False)
                one.connect(address)
        with pytest.raises(TimedOut, match="did not answer within 0 s"):
            Control(tmp_path).call("GET", "/v1/status", timeout_s=0.2)


STOPPED = """
import os, signal, sys
from pathlib import Path
from node.control.listener import listen
with listen(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_of_a_stopped_daemon_it_is_said_how_it_goes_on(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED, socket_path(tmp_path)], cwd=Path(__file__).parents[2]
    ) as daemon:
        _, status = os.waitpid(daemon.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        try:
            with pytest.raises(TimedOut) as silent:
                Control(tmp_path).call("GET", "/v1/status", timeout_s=0.05)
            assert silent.value.hint == f"its process is stopped: kill -CONT {daemon.pid} lets it go on"
        finally:
            daemon.kill()
