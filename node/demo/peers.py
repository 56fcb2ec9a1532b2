"""Real daemons on loopback, each a process of its own, driven only as a user would: by the command line.

Used by the demo, the end-to-end tests and the bench. Whatever is started here is ended here, by process id.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Value = TypeVar("Value")

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 15.0
COMMAND = (sys.executable, "-m", "node")


class PeerFailed(Exception):
    """A peer did not start, or a command that should have worked did not."""


def wait_until(check: Callable[[], Value | None], *, timeout_s: float, what: str, every_s: float = 0.2) -> Value:
    """Poll `check` until it returns something true.

    Raises:
        PeerFailed: `what` did not come about within `timeout_s`.
    """
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        value = check()
        if value:
            return value
        time.sleep(every_s)
    raise PeerFailed(f"{what}: not within {timeout_s:.0f} s")


@dataclass
class Peer:
    """One daemon and its data directory; `call` runs a command of the same program against it.

    Attributes:
        before: words that stand before each command, such as those that run it on another host or by another clock.
    """

    data_dir: Path
    name: str
    listen: str = "/ip4/127.0.0.1/tcp/0"
    run_options: Sequence[str] = ("--gateway", "off")
    env: dict[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    peer_id: str = ""
    recovery_key: str = ""
    addrs: list[str] = field(default_factory=list)
    ready: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    def command(self, *words: str) -> list[str]:
        """The argument vector that runs `words` against this peer."""
        return [*self.before, *COMMAND, "--data-dir", str(self.data_dir), *words]

    def run(self, *words: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever comes of it."""
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=timeout_s, env={**os.environ, **self.env}
        )

    def call(self, *words: str, timeout_s: float = 120) -> str:
        """Run a command that must work; its standard output.

        Raises:
            PeerFailed: it exited with another code than 0.
        """
        done = self.run(*words, timeout_s=timeout_s)
        if done.returncode:
            raise PeerFailed(f"{self.name}: {' '.join(words)}: {self.complaint(done)}")
        return done.stdout

    def complaint(self, done: "subprocess.CompletedProcess[str]") -> str:
        """What a command ended with; where it found no daemon, or none that answers, what became of that as well."""
        told = f"exit {done.returncode}: {done.stderr.strip()}"
        if "daemon" not in done.stderr or self.process is None:
            return told
        code = self.process.poll()
        fate = "the daemon runs" if code is None else f"the daemon ended with {code}"
        return f"{told}; {fate}, its log: {self.log_tail(30)}"

    def rows(self, *words: str, timeout_s: float = 120) -> list[dict[str, Any]]:
        """The JSON objects, one a line, that a command prints with `--json`."""
        return [json.loads(line) for line in self.call(*words, "--json", timeout_s=timeout_s).splitlines() if line]

    def one(self, *words: str, timeout_s: float = 120) -> dict[str, Any]:
        """The one JSON object that a command prints with `--json`."""
        return self.rows(*words, timeout_s=timeout_s)[0]

    def init(self, *options: str) -> None:
        """Make the data directory; `--join LINE` among `options` joins a swarm."""
        made = self.one("init", "--name", self.name, *options)
        self.peer_id, self.recovery_key = made["peer_id"], made.get("recovery_key", "")

    def start(self) -> None:
        """Start the daemon and wait for its ready line.

        Raises:
            PeerFailed: it ended, or was not ready in time; the end of its log is quoted.
        """
        with (self.data_dir / "daemon.log").open("ab") as errors:
            self.process = subprocess.Popen(
                self.command("run", "--listen", self.listen, "--json", *self.run_options),
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                text=True,
                env={**os.environ, **self.env},
            )
        line = self._first_line()
        if not line:
            self.kill()
            raise PeerFailed(f"{self.name} did not start: {self.log_tail()}")
        self.ready = json.loads(line)
        self.peer_id, self.addrs = self.ready["peer_id"], self.ready["addrs"]

    def _first_line(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda out: lines.put(out.readline()), args=(self.process.stdout,), daemon=True).start()
        try:
            return lines.get(timeout=START_TIMEOUT_S)
        except queue.Empty:
            return ""

    def log_tail(self, lines: int = 3) -> str:
        """The last lines that the daemon wrote on standard error."""
        try:
            text = (self.data_dir / "daemon.log").read_text(errors="replace")
        except FileNotFoundError:
            return "no log"
        return " | ".join(text.strip().splitlines()[-lines:])

    def signal(self, number: int) -> None:
        """Send the daemon a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, as a power cut would, and reap."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    def stop(self) -> int:
        """SIGTERM and wait for a clean end; SIGKILL where that takes too long. The exit code (0: clean)."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        self.kill()
        return code


@contextmanager
def swarm(home: Path, names: Sequence[str], **options: Any) -> Iterator[list[Peer]]:
    """A running swarm: the first peer founds it and invites the others. All are ended on the way out."""
    with founded([Peer(home / name, name, **options) for name in names]) as peers:
        yield peers


@contextmanager
def founded(peers: list[Peer]) -> Iterator[list[Peer]]:
    """The same of peers that are not made yet."""
    try:
        peers[0].init()
        peers[0].start()
        if len(peers) > 1:
            line = peers[0].one("invite", "--uses", str(len(peers) - 1))["invite"]
            for peer in peers[1:]:
                peer.init("--join", line)
                peer.start()
            wait_for_links(peers)
        yield peers
    finally:
        for peer in peers:
            peer.kill()


def wait_for_links(peers: Sequence[Peer], timeout_s: float = 60) -> None:
    """Wait until each of `peers` sees each other one alive."""
    ids = {p.peer_id for p in peers}

    def linked(peer: Peer) -> bool:
        return ids <= {r["peer_id"] for r in peer.rows("peers") if r["sees"] == "alive"}

    for peer in peers:
        wait_until(lambda p=peer: linked(p), timeout_s=timeout_s, what=f"{peer.name} sees all peers alive")  # type: ignore[misc]
