"""What the end-to-end tests ask of a swarm of real daemons, all through the command line."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from node.demo.peers import Peer, PeerFailed, wait_until

SETTLE_TIMEOUT_S = 300.0


def counts(peer: Peer) -> dict[str, int]:
    """The `images` part of a peer's status."""
    return dict(peer.one("status")["images"])


def wait_until_settled(peers: Sequence[Peer], images: int, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
    """Wait until each of `peers` sees `images` images, all of them at target and none above."""

    def settled(peer: Peer) -> bool:
        now = counts(peer)
        return now["total"] == images == now["at_target"] and now["above_target"] == 0

    _wait_for_each(peers, settled, timeout_s, f"{images} images at target")


def wait_until_none_below(peers: Sequence[Peer], images: int, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
    """Wait until each of `peers` sees `images` images, none with a copy too few; some may have one too many."""

    def none_below(peer: Peer) -> bool:
        now = counts(peer)
        return now["total"] == images == now["at_target"] + now["above_target"]

    _wait_for_each(peers, none_below, timeout_s, f"{images} images at target or above")


def _wait_for_each(peers: Sequence[Peer], holds: Callable[[Peer], bool], timeout_s: float, what: str) -> None:
    for peer in peers:
        try:
            wait_until(lambda p=peer: holds(p), timeout_s=timeout_s, what=f"{peer.name}: {what}")  # type: ignore[misc]
        except PeerFailed as error:
            raise PeerFailed(f"{error}\n{unsettled(peers)}") from error


def unsettled(peers: Sequence[Peer]) -> str:
    """What each peer says of the images that are not at target, and why; for people who read a failed test."""
    lines = []
    for peer in (p for p in peers if p.process is not None):
        lines.append(f"{peer.name}: {counts(peer)}, doctor: {complaints(peer)}")
        lines += [f"  {r['peer_id']} {r['name']} {r['sees']} {r['state']} {r['roots']}" for r in peer.rows("peers")]
        for row in (r for r in peer.rows("ls") if r["state"] != "at_target"):
            shown = peer.one("show", row["root"])
            held = sorted(holder["name"] for holder in shown["holders"])
            lines.append(
                f"  {row['root']} {row['state']}, wants {shown['replicas']}, held by {held}: {shown['reason']}"
            )
    return "\n".join(lines)


def assert_doctor_is_content(peer: Peer) -> None:
    """Every check of `doctor` holds."""
    bad = complaints(peer)
    assert bad == {}, f"{peer.name}: {bad}"


def complaints(peer: Peer) -> dict[str, str]:
    """The checks of `doctor` that do not hold, each with its detail."""
    done = peer.run("doctor", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows, f"{peer.name}: no doctor: {peer.complaint(done)}"
    return {row["check"]: row["detail"] for row in rows if not row["ok"]}


def read_back(peer: Peer, root: str, home: Path, variant: str = "original") -> bytes:
    """The bytes that `get` writes."""
    path = home / f"{peer.name}-{root[-12:]}-{variant}"
    peer.call("get", root, "--variant", variant, "-o", str(path))
    return path.read_bytes()
