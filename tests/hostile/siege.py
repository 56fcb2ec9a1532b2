"""A campaign against a daemon of a swarm whose honest peers go on: they add, replicate and look up all the while."""

import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import trio

from node.control.client import Control
from node.demo.peers import Peer, swarm
from protocol.invite import parse_invite
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import complaints, read_back, wait_until_settled
from tests.hostile.campaign import Account, Campaign
from tests.hostile.membership import port_of

HONEST_S = 60.0
"""Within which each honest request must be answered, on a busy machine; usually it is well below a second."""
GROWTH_BYTES = 150 << 20
"""More memory than at the start that a daemon may come to use."""
PAUSE_S = 0.5
MEMBERS = 6


@dataclass
class Siege:
    """What was seen: the account of the attack, the honest requests, and the daemon's memory."""

    account: Account
    seconds: float
    added: list[str] = field(default_factory=list)
    answers_s: list[float] = field(default_factory=list)
    rss_start_bytes: int = 0
    rss_peak_bytes: int = 0

    def __str__(self) -> str:
        return "\n".join(
            (
                *self.account.lines(),
                f"{self.account.total} messages in {self.seconds:.0f} s; {sum(self.account.cut.values())} times cut off "
                f"as must be, {self.account.by_chance} times sooner, {self.account.unreached} times not let in",
                f"{len(self.answers_s)} honest requests: median {statistics.median(self.answers_s) * 1000:.0f} ms, "
                f"longest {max(self.answers_s) * 1000:.0f} ms; {len(self.added)} images added",
                f"memory: {self.rss_start_bytes >> 20} MiB at first, {self.rss_peak_bytes >> 20} MiB at most",
            )
        )


def besiege(home: Path, *, seed: int, messages: int) -> Siege:
    """Attack one of two honest peers, and check that nothing came of it."""
    print(f"seed {seed}, {messages} messages")
    with swarm(home / "swarm", ("attacked", "other")) as [attacked, other]:
        attacked.call("flow", "set", "default", "--replicas", "2:2")
        invite = parse_invite(attacked.one("invite", "--uses", "100")["invite"])
        campaign = Campaign(port_of(attacked.addrs), invite, seed=seed, messages=messages, members=MEMBERS)
        seen = Siege(campaign.account, 0.0, rss_start_bytes=rss_bytes(attacked))
        began_s = time.monotonic()
        with Honest((attacked, other), home / "in", seen) as honest:
            trio.run(campaign.run)
        seen.seconds = time.monotonic() - began_s
        print(seen)
        wait_until_settled((attacked, other), images=len(set(seen.added)))
        for root in (seen.added[0], seen.added[-1]):
            assert read_back(other, root, home) == honest.original_of(root)
        for peer in (attacked, other):
            assert_only_attackers_are_bad(peer, honest={attacked.peer_id, other.peer_id})
            assert peer.stop() == 0
    return seen


def assert_only_attackers_are_bad(peer: Peer, *, honest: set[str]) -> None:
    """`doctor` has nothing to say but that a hostile member speaks as two daemons would, which some do by chance."""
    bad = complaints(peer)
    cloned = set(filter(None, bad.pop("clone", "").split(", ")))
    assert not cloned & honest, f"{peer.name}: {cloned & honest} is no clone"
    assert bad == {}, f"{peer.name}: {bad}"


def rss_bytes(peer: Peer) -> int:
    """What the daemon has in memory now."""
    assert peer.process is not None
    for line in Path(f"/proc/{peer.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


class Honest:
    """Two peers' users, for the length of a block: one adds and waits for both copies, one looks around."""

    def __init__(self, peers: Sequence[Peer], folder: Path, seen: Siege) -> None:
        self._peers = peers
        self._folder = folder
        self._seen = seen
        self._over = threading.Event()
        self._failed: list[BaseException] = []
        self._threads = [threading.Thread(target=self._guarded, args=(work,)) for work in (self._add, self._look)]

    def __enter__(self) -> "Honest":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _guarded(self, work: "object") -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - raised again where the block ends
            self._failed.append(error)

    def _timed(self, peer: Peer, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        began_s = time.monotonic()
        with Control(peer.data_dir) as control:
            answer: dict[str, object] = control.call(method, path, body, timeout_s=HONEST_S + 5)
        took_s = time.monotonic() - began_s
        assert took_s < HONEST_S, f"{method} {path} at {peer.name} took {took_s:.0f} s"
        self._seen.answers_s.append(took_s)
        return answer

    def original_of(self, root: str) -> bytes:
        """The bytes that were added as this root."""
        return self._picture(self._seen.added.index(root)).read_bytes()

    def _picture(self, turn: int) -> Path:
        folder = self._folder / str(turn)
        return make_pictures(1, folder, seed=turn, width_px=120, height_px=90)[0]

    def _add(self) -> None:
        for turn in count():
            if self._over.is_set() and self._seen.added:
                return
            picture = self._picture(turn)
            options = {"wait": 2, "timeout_s": HONEST_S}
            row = self._timed(self._peers[turn % 2], "POST", "/v1/add", {"path": str(picture), "options": options})
            assert row["copies"] == 2, row
            self._seen.added.append(str(row["root"]))
            self._over.wait(PAUSE_S)

    def _look(self) -> None:
        while not self._over.wait(PAUSE_S / 2):
            for peer in self._peers:
                self._timed(peer, "GET", "/v1/status")
            self._seen.rss_peak_bytes = max(self._seen.rss_peak_bytes, rss_bytes(self._peers[0]))
