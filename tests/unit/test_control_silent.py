"""A daemon that does not answer, as its clients meet it: each waits for so long only, and says what to do."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli import doctor
from node.cli.session import Session
from node.control import client
from node.control.address import reachable, socket_path
from node.control.client import Answer, Control
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


def test_what_may_take_long_is_not_asked_of_a_daemon_that_answers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be done once that goes on, long after whoever asked has given up: `rm`, `expel`, `drain`."""
    monkeypatch.setattr(client, "DEFAULT_TIMEOUT_S", 0.05)
    with listen(socket_path(tmp_path)) as listener:
        with pytest.raises(TimedOut, match="did not answer within 0 s"):
            Control(tmp_path).open("DELETE", "/v1/images/picture.jpg", timeout_s=None)
        asked, _ = listener.accept()
        with asked:
            assert asked.recv(4096).startswith(b"GET /v1/config ")


def test_doctor_is_waited_for_however_long_the_disk_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at each file: with a hundred thousand of them on a cold disk some minutes, and says nothing meanwhile."""
    waits: list[float | None] = []

    def ask(control: Control, method: str, path: str, *, accept: str, timeout_s: float | None) -> Answer:
        waits.append(timeout_s)
        return Answer(200, {}, iter([]))

    monkeypatch.setattr(Control, "open", ask)
    assert CliRunner().invoke(doctor.command, [], obj=Session()).exit_code == 0
    assert waits == [None]


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
