"""The power fails while a flow moves to another backend: it goes on by itself, and every image is there, byte for byte.

Each daemon's disk is recorded, SQLite's files included. The power of one peer or of both fails in the middle of the
move, and what is left on the disk is what POSIX promises: of what was not fsynced some, in any order, torn, or nothing.
"""

import os
import random
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.demo.peers import founded, wait_until
from tests.e2e.pictures import make_pictures
from tests.e2e.power import PoweredPeer, cut, powered
from tests.e2e.swarms import assert_doctor_is_content, complaints, unsettled, wait_until_settled

pytestmark = pytest.mark.slow

CUTS = int(os.environ.get("PINAKOTHEK_POWER_CUTS", "3"))
SEED = int(os.environ.get("PINAKOTHEK_SEED", secrets.randbelow(1_000_000)))
IMAGES = 8
PATIENCE_S = 240.0


@contextmanager
def two_peers(home: Path, forgotten: str = "") -> Iterator[list[PoweredPeer]]:
    """With the flow `album` on both, two copies of each image."""
    made = [powered(home, name, forgotten=forgotten) for name in ("anna", "bert")]
    with founded(list(made)):
        made[0].call("charter", "set", "--counts", "ipfs,local", "--replicas", "1:2")
        pictures = make_pictures(IMAGES, home / "in", seed=5)
        made[0].call("add", *map(str, pictures), "--flow", "album", "--wait", "2", timeout_s=PATIENCE_S)
        wait_until_settled(made, IMAGES)
        yield made


class Moving:
    """The album goes from kind to kind.

    Attributes:
        typical: changes of both disks that a whole move makes, as far as is known.
    """

    def __init__(self, peers: list[PoweredPeer], chance: random.Random) -> None:
        self.peers = peers
        self.chance = chance
        self.typical = 100 * IMAGES
        self.kind = "ipfs"

    def begin(self) -> subprocess.Popen[str]:
        """Have the first peer move the album to the other kind; acknowledged when this returns."""
        anna = self.peers[0]
        self.kind = "local" if self.kind == "ipfs" else "ipfs"
        for peer in self.peers:
            wait_until(lambda p=peer: not complaints(p), timeout_s=PATIENCE_S, what=f"{peer.name} is content")  # type: ignore[misc]
        anna.call("flow", "set", "album", "--backend", self.kind)
        cli = subprocess.Popen(
            anna.command("flow", "migrate", "album", "--json"),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert cli.stdout is not None
        assert cli.stdout.readline()
        return cli

    def changes(self) -> int:
        return sum(peer.changes() for peer in self.peers)

    def until_cut(self, cli: subprocess.Popen[str]) -> list[str]:
        """Wait for the moment, and let the power fail."""
        begun = self.changes()
        moment = begun + self.chance.randint(1, self.typical)
        victims = self.chance.choice([self.peers, self.peers, self.peers[:1], self.peers[1:]])
        wait_until(
            lambda: self.changes() >= moment or cli.poll() is not None,
            timeout_s=PATIENCE_S,
            what="the move",
            every_s=0.002,
        )
        told = [f"to {self.kind}, {self.changes() - begun} changes after its beginning", *cut(victims, self.chance)]
        for peer in victims:
            peer.start()
        for peer in victims:
            found = peer.one("scrub")
            assert found["bad"] == 0, "\n".join([f"{peer.name} lists what is not there: {found}", *told])
        return told

    def wait_until_moved(self) -> None:
        """By itself: nobody asks for it again."""
        anna = self.peers[0]
        wait_until(
            lambda: all(job["state"] == "done" for job in anna.rows("jobs", "--kind", "migrate")),
            timeout_s=PATIENCE_S, what="the job is done",
        )  # fmt: skip
        wait_until_settled(self.peers, IMAGES, PATIENCE_S)
        assert anna.rows("flow", "migrate", "album", "--dry-run") == []

    def check(self, home: Path) -> None:
        for peer in self.peers:
            assert peer.retractions() == [], "what was held and advertised was not there"
            wait_until(lambda p=peer: not complaints(p), timeout_s=PATIENCE_S, what=f"{peer.name} is content")  # type: ignore[misc]
            assert_doctor_is_content(peer)
            restored = home / f"{peer.name}-{peer.starts}-{self.kind}"
            peer.call("get", "--flow", "album", "-o", str(restored))
            for picture in (home / "in").iterdir():
                assert (restored / picture.name).read_bytes() == picture.read_bytes(), f"{peer.name} {picture.name}"


@pytest.mark.timeout(300 + 120 * CUTS)
def test_the_power_fails_while_a_flow_moves(tmp_path: Path) -> None:
    print(f"PINAKOTHEK_SEED={SEED} PINAKOTHEK_POWER_CUTS={CUTS}")
    with two_peers(tmp_path) as peers:
        moving = Moving(peers, random.Random(SEED))
        for _ in range(CUTS):
            with moving.begin() as cli:
                told = moving.until_cut(cli)
                cli.kill()
            print(*told, sep="\n  ")
            try:
                moving.wait_until_moved()
                moving.check(tmp_path)
            except BaseException as error:
                error.add_note("\n".join([*told, unsettled(peers)]))
                raise
        for peer in peers:
            peer.call("verify", "--flow", "album", "--deep")
        for peer in peers:
            assert peer.stop() == 0
            assert peer.missed() == set()
