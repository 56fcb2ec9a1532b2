"""Real daemons whose power can fail: what was not fsynced is gone from their disks, or there in part, or in another order."""

import random
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from node.demo.peers import Peer
from tests.crash.disk import BYTES_ONLY, DROP, KEEP, NAMES_ONLY, Disk, Remains, Style, after_power_loss
from tests.crash.recorded_daemon import UNRECORDED, count_of, on_disk, read_log

DAEMON_LOG = "daemon.log"
"""Kept over a power loss, for people who read a failed test."""


@dataclass
class PoweredPeer(Peer):
    """A peer whose data directory, and whose backend `local`, lie on a recorded disk.

    Attributes:
        forgotten: the name of an fsync that its daemon leaves out; empty: none.
        starts: of its daemon; each has a log of its own.
    """

    forgotten: str = ""
    starts: int = 0

    @property
    def disk(self) -> Path:
        return self.data_dir.parent

    @property
    def _log(self) -> Path:
        return self.disk.with_name(f"{self.name}-{self.starts}.log")

    def command(self, *words: str) -> list[str]:
        if words[0] != "run":
            return super().command(*words)
        recorded = [sys.executable, "-m", "tests.crash.recorded_daemon", str(self.disk), str(self._log), self.forgotten]
        return [*self.before, *recorded, "--data-dir", str(self.data_dir), *words]

    def start(self) -> None:
        self.starts += 1
        super().start()

    def changes(self) -> int:
        """What its daemon has done to the disk since it was started, fsyncs counted."""
        return count_of(self._log).stat().st_size

    def lose_power(self, style: Style) -> str:
        """The daemon has been killed: leave on its disk what a power loss at that moment does; the last change."""
        recorded = read_log(self.disk, self._log)
        remains = after_power_loss(recorded, len(recorded.events), style)
        said = (self.data_dir / DAEMON_LOG).read_bytes()
        shutil.rmtree(self.disk)
        remains.write_to(self.disk)
        for path in self.disk.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        (self.data_dir / DAEMON_LOG).write_bytes(said)
        self._log.unlink()
        return f"{self.name}: {recorded.events[-1][:3]}"

    def retractions(self) -> list[str]:
        """What its daemons said that they hold no longer, because they found it gone or spoilt."""
        lines = (self.data_dir / DAEMON_LOG).read_text(errors="replace").splitlines()
        return [line for line in lines if "is no longer held" in line]

    def missed(self) -> set[str]:
        """Once its daemon has ended cleanly: files that are not what the record says, so that it would prove nothing."""
        recorded = read_log(self.disk, self._log)
        found, said = _by_path(on_disk(self.disk)), _by_path(_everything(recorded))
        return {path for path in found.keys() | said.keys() if found.get(path) != said.get(path)}


def _everything(recorded: Disk) -> Remains:
    return after_power_loss(recorded, len(recorded.events), KEEP)


def _by_path(remains: Remains) -> dict[str, bytes]:
    return {path: content for path, content in remains.files if not path.endswith(UNRECORDED)}


def powered(home: Path, name: str, *, forgotten: str = "") -> PoweredPeer:
    """A peer that is not made yet, with a directory as the backend `local`."""
    disk = home / name
    disk.mkdir()
    env = {"PINAKOTHEK_BACKENDS_LOCAL_DIRECTORY": str(disk / "archive")}
    return PoweredPeer(disk / "peer", name, env=env, forgotten=forgotten)


def any_style(chance: random.Random) -> Style:
    """Mostly a mixture: of each file, and of each name, something else is left."""
    return chance.choice([DROP, NAMES_ONLY, BYTES_ONLY, *(Style("mix", "mix", chance.randrange(1 << 30)),) * 3])


def cut(peers: list[PoweredPeer], chance: random.Random) -> list[str]:
    """The power of all these peers fails at once; what happened, for people."""
    for peer in peers:
        assert peer.process is not None
        peer.process.kill()
    for peer in peers:
        peer.kill()
    told = []
    for peer in peers:
        style = any_style(chance)
        told.append(f"{peer.lose_power(style)}, {style}")
    return told
