"""What the end-to-end tests ask of a swarm of real daemons, all through the command line."""

from collections.abc import Sequence
from pathlib import Path

from node.demo.peers import Peer, wait_until

SETTLE_TIMEOUT_S = 300.0


def counts(peer: Peer) -> dict[str, int]:
    """The `images` part of a peer's status."""
    return dict(peer.one("status")["images"])


def wait_until_settled(peers: Sequence[Peer], images: int, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
    """Wait until each of `peers` sees `images` images, all of them at target and none above."""

    def settled(peer: Peer) -> bool:
        now = counts(peer)
        return now["total"] == images == now["at_target"] and now["above_target"] == 0

    for peer in peers:
        wait_until(lambda p=peer: settled(p), timeout_s=timeout_s, what=f"{peer.name}: {images} images at target")


def assert_doctor_is_content(peer: Peer) -> None:
    """Every check of `doctor` holds."""
    rows = [r for r in peer.rows("doctor") if not r["ok"]]
    assert rows == [], f"{peer.name}: {rows}"


def read_back(peer: Peer, root: str, home: Path, variant: str = "original") -> bytes:
    """The bytes that `get` writes."""
    path = home / f"{peer.name}-{root[-12:]}-{variant}"
    peer.call("get", root, "--variant", variant, "-o", str(path))
    return path.read_bytes()
