"""The command line as a program among others: pipes, signals, terminals, odd names, and what it imports."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.cli.group import COMMANDS
from tests.fake_service import FakeService, serving

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "node"]
PATIENCE_S = 60.0


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    home = tmp_path / "data"
    home.mkdir()
    return home


@pytest.fixture
def fake(data_dir: Path) -> Iterator[FakeService]:
    with serving(data_dir) as service:
        yield service


def environ(data_dir: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PINAKOTHEK_")}
    return {**kept, "PINAKOTHEK_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT), **more}


def pina(data_dir: Path, *words: str | bytes, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *words], env=environ(data_dir, **more), capture_output=True, timeout=PATIENCE_S, input=b""
    )


def test_no_command_imports_what_is_slow(data_dir: Path) -> None:
    check = (
        "import sys; from importlib import import_module; "
        f"[import_module('node.cli.' + name) for name in {list(COMMANDS)}]; "
        "print([m for m in ('trio', 'libp2p', 'httpx', 'PIL', 'numpy', 'rich', 'msgspec', 'asyncio', 'http.client',"
        " 'multiformats', 'structlog') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_to_be_done_next_means_the_same_peer(data_dir: Path, tmp_path: Path) -> None:
    """A hint is typed as it is printed; without `--data-dir` it would start, or make, another peer."""
    peer = tmp_path / "my peer"
    made = pina(data_dir, "init", "--data-dir", str(peer))
    assert made.stdout.decode().splitlines()[-1] == f"next: pinakothek --data-dir '{peer}' run"
    away = pina(data_dir, "--data-dir", str(peer), "status")
    assert away.stderr.decode().splitlines()[-1] == f"hint: start it: pinakothek --data-dir '{peer}' run"
    by_variable = pina(peer, "status")
    assert by_variable.stderr.decode().splitlines()[-1] == "hint: start it: pinakothek run"


def test_names_of_any_bytes(data_dir: Path, fake: FakeService, tmp_path: Path) -> None:
    odd = os.path.join(os.fsencode(tmp_path), b"caf\xe9 \xf0\x9f\x90\x88\x1b\n.png")
    with open(odd, "wb") as file:
        file.write(b"IMAGE1")
    row = json.loads(pina(data_dir, "add", "--json", odd).stdout.decode("utf-8"))
    assert row["path"] == str(tmp_path) + "/caf\\xe9 🐈\x1b\n.png"
    assert fake.pinned[0].name == "caf\\xe9 🐈\x1b\n.png"
    told = pina(data_dir, "ls").stdout.decode("utf-8")
    assert "caf\\xe9 🐈\\x1b\\x0a.png" in told


def test_many_inputs_come_out_in_order(data_dir: Path, fake: FakeService, tmp_path: Path) -> None:
    names = [f"{number:03}.png" for number in range(60)]
    for name in names:
        (tmp_path / name).write_text(f"IMAGE{name}" if not name.startswith("01") else "words")
    done = pina(data_dir, "add", "--json", *(str(tmp_path / name) for name in names))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["path"] for row in rows] == [str(tmp_path / name) for name in names]
    assert sum(row["error"] is not None for row in rows) == 10
    assert done.returncode == 1


def test_standard_input(data_dir: Path, fake: FakeService) -> None:
    done = subprocess.run(
        [*COMMAND, "add", "-", "--name", "piped.png", "--replicas", "1:2", "--json"],
        env=environ(data_dir),
        capture_output=True,
        timeout=PATIENCE_S,
        input=b"IMAGE" + bytes(3_000_000),
    )
    assert json.loads(done.stdout)["size_bytes"] == 3_000_005
    assert (fake.pinned[0].name, fake.pinned[0].replicas.max) == ("piped.png", 2)


def test_a_closed_pipe_is_no_error(data_dir: Path, fake: FakeService) -> None:
    fake.bytes["big"] = b"IMAGE" + bytes(5_000_000)
    (data_dir / "a.png").write_bytes(fake.bytes["big"])
    assert pina(data_dir, "add", str(data_dir / "a.png")).returncode == 0
    with subprocess.Popen(
        [*COMMAND, "get", "a.png"], env=environ(data_dir), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.read(5) == b"IMAGE"
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(PATIENCE_S) == 141


@pytest.mark.parametrize("words", [("events",), ("pin", "add", "stuck")])
def test_ctrl_c_ends_it_quietly(data_dir: Path, fake: FakeService, words: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [*COMMAND, *words], env=environ(data_dir), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        if words[0] == "events":
            assert b"event 1" in running.stdout.readline()
        else:
            fake.wait_until_stuck()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=PATIENCE_S)
        assert errors == b""
        assert running.returncode == 130


def test_events_as_json(data_dir: Path, fake: FakeService) -> None:
    with subprocess.Popen([*COMMAND, "events", "--json"], env=environ(data_dir), stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        rows = [json.loads(running.stdout.readline()) for _ in range(3)]
        running.kill()
    assert {"at", "kind", "root", "peer_id", "detail"} <= set(rows[0])
    assert [row["seq"] for row in rows] == [1, 2, 3]


def test_an_output_that_is_a_pipe_or_a_link_stays_one(data_dir: Path, fake: FakeService, tmp_path: Path) -> None:
    """`-o /dev/null` as root once left a regular file in its place."""
    (tmp_path / "a.png").write_bytes(b"IMAGE1")
    assert pina(data_dir, "add", str(tmp_path / "a.png")).returncode == 0
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("target")
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert pina(data_dir, "get", "a.png", "-o", str(pipe)).returncode == 0
        assert os.read(reading, 100) == b"IMAGE1"
    finally:
        os.close(reading)
    assert pipe.is_fifo()
    assert pina(data_dir, "get", "a.png", "-o", str(link)).returncode == 0
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == b"IMAGE1"
    piped = subprocess.run(
        [*COMMAND, "get", "a.png", "-o", "/dev/stdout"], env=environ(data_dir), stdout=subprocess.PIPE,
        timeout=PATIENCE_S,
    )  # fmt: skip
    assert (piped.returncode, piped.stdout) == (0, b"IMAGE1")


def test_a_picture_is_not_written_to_a_terminal(data_dir: Path, fake: FakeService) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*COMMAND, "get", "a.png"], env=environ(data_dir), stdout=theirs, stderr=subprocess.PIPE, timeout=PATIENCE_S
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert b"would garble the terminal" in done.stderr


def test_progress_is_shown_on_a_terminal_only(data_dir: Path, fake: FakeService) -> None:
    (data_dir / "a.png").write_bytes(b"IMAGE1")
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*COMMAND, "add", str(data_dir / "a.png"), "--json"],
            env=environ(data_dir, TERM="xterm"),
            stdout=subprocess.PIPE,
            stderr=theirs,
            timeout=PATIENCE_S,
        )
        os.close(theirs)
        shown = os.read(ours, 65_536)
    finally:
        os.close(ours)
    assert json.loads(done.stdout)["new"] is True
    assert b"adding" in shown


def test_a_bug_is_one_line_unless_it_is_looked_for(data_dir: Path) -> None:
    broken = "import sys, node.cli, node.cli.session as s; s.Session.data_dir = property(lambda self: 1 / 0); node.cli.main()"
    for debug in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", broken, "status"],
            env=environ(data_dir, PINAKOTHEK_DEBUG=debug),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == (debug == "1")
        if debug == "0":
            first, second = done.stderr.splitlines()
            assert first == "pinakothek: internal error: ZeroDivisionError: division by zero"
            assert "please report" in second


def test_shell_completion(data_dir: Path) -> None:
    done = pina(data_dir, _PINAKOTHEK_COMPLETE="bash_complete", COMP_WORDS="pinakothek sta", COMP_CWORD="1")
    assert b"plain,status" in done.stdout


def test_the_daemon_stopping_ends_a_stream_of_events(data_dir: Path) -> None:
    with serving(data_dir):
        running = subprocess.Popen(
            [*COMMAND, "events"], env=environ(data_dir), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert running.stdout is not None
        assert b"event 1" in running.stdout.readline()
    _, errors = running.communicate(timeout=PATIENCE_S)
    assert errors.startswith(b"pinakothek: ")
    assert errors.count(b"\n") == 1
    assert running.returncode == 4
