"""The demo's story: add, replicate, lose a peer, repair, take it back, read through a peer that never had it."""

import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.demo.peers import Peer, PeerFailed, swarm, wait_until

PHOTOS = Path(__file__).parent / "photos"
FACTOR = 2
REPAIR_TIMEOUT_S = 120.0
"""Detection takes 15 s with default settings (DESIGN §7); the rest is room for a slow machine."""


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells people what happens, on standard error when standard output carries figures."""

    as_json: bool

    def say(self, text: str) -> None:
        """One line of the story."""
        print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def counts(self, since_s: float, images: dict[str, int]) -> None:
        """Where the images stand, one line per change."""
        self.say(
            f"    {time.monotonic() - since_s:5.1f} s   below min {images['below_min']:>2}   "
            f"at target {images['at_target']:>2}   above {images['above_target']:>2}   of {images['total']}"
        )


def run(*, as_json: bool = False) -> int:
    """Run the demo and print what it saw.

    Returns:
        The exit code: 0 where every step came out as promised, 1 otherwise.
    """
    teller = Teller(as_json)
    home = Path(tempfile.mkdtemp(prefix="pinakothek-demo-"))
    try:
        with swarm(home, ("ada", "bob", "cyd")) as peers:
            figures = tell(peers, home, teller)
    except PeerFailed as error:
        print(f"pinakothek: demo: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if as_json:
        print(json.dumps(figures))
    else:
        print(f"every image is back at {FACTOR} copies, nothing lost, nothing over-kept")
    return 0


def tell(peers: list[Peer], home: Path, teller: Teller) -> dict[str, Any]:
    """The story itself; the figures of `demo --json`."""
    ada, bob, cyd = peers
    teller.say(f"three peers on this machine: {', '.join(f'{p.name} {p.peer_id[-6:]}' for p in peers)}")
    rows, replicate_s = add_photos(ada, teller)
    detect_s, repair_s, bytes_moved = lose(cyd, (ada, bob), len(rows), teller)
    take_back(cyd, peers, len(rows), teller)
    read_through_a_stranger_to_it(peers, rows, home, teller)
    return {
        "images": len(rows),
        "factor": FACTOR,
        "peers": len(peers),
        "replicate_s": round(replicate_s, 2),
        "detect_s": round(detect_s, 2),
        "repair_s": round(repair_s, 2),
        "bytes_moved": bytes_moved,
        "ok": True,
    }


def add_photos(peer: Peer, teller: Teller) -> tuple[list[dict[str, Any]], float]:
    """Add the photos at factor 2 and wait until each is held twice."""
    photos = sorted(str(p) for p in PHOTOS.glob("*.jpg"))
    teller.say(f"{peer.name} adds {len(photos)} photos, {FACTOR} copies each")
    start_s = time.monotonic()
    rows = peer.rows("add", "--flow", "demo", "--replicas", f"{FACTOR}:{FACTOR}", *photos)
    if failed := [r for r in rows if r["error"]]:
        raise PeerFailed(f"{failed[0]['path']}: {failed[0]['error']}")
    settle(peer, len(rows), start_s, teller, REPAIR_TIMEOUT_S)
    return rows, time.monotonic() - start_s


def settle(peer: Peer, images: int, since_s: float, teller: Teller, timeout_s: float) -> None:
    """Wait until `peer` sees every image exactly at its factor, telling each change."""
    told: dict[str, int] = {}

    def settled() -> bool:
        now = peer.one("status")["images"]
        if now != told:
            told.update(now)
            teller.counts(since_s, now)
        return bool(now["total"] == images == now["at_target"] and not now["above_target"])

    wait_until(settled, timeout_s=timeout_s, what=f"{images} images at {FACTOR} copies")


def lose(victim: Peer, rest: tuple[Peer, Peer], images: int, teller: Teller) -> tuple[float, float, int]:
    """SIGKILL `victim`; seconds until it is missed, seconds until all is repaired, bytes copied for it."""
    before = sum(p.one("status")["store"]["used_bytes"] for p in rest)
    teller.say(f"{victim.name} is killed (SIGKILL)")
    victim.kill()
    start_s = time.monotonic()
    watcher = rest[0]

    def missed() -> bool:
        return any(r["peer_id"] == victim.peer_id and r["sees"] != "alive" for r in watcher.rows("peers"))

    wait_until(missed, timeout_s=REPAIR_TIMEOUT_S, what=f"{victim.name} is missed")
    detect_s = time.monotonic() - start_s
    teller.say(f"    {detect_s:5.1f} s   {watcher.name} misses {victim.name}; the repair begins")
    settle(watcher, images, start_s, teller, REPAIR_TIMEOUT_S)
    after = sum(p.one("status")["store"]["used_bytes"] for p in rest)
    return detect_s, time.monotonic() - start_s, after - before


def take_back(victim: Peer, peers: list[Peer], images: int, teller: Teller) -> None:
    """Restart the lost peer; its copies are now one too many, and are released under leases."""
    teller.say(f"{victim.name} is started again; what is now kept three times is released under leases")
    victim.start()
    start_s = time.monotonic()
    for peer in peers:
        wait_until(
            lambda p=peer: all(r["sees"] == "alive" for r in p.rows("peers")),  # type: ignore[misc]
            timeout_s=REPAIR_TIMEOUT_S,
            what=f"{peer.name} sees all peers alive",
        )
    settle(peers[0], images, start_s, teller, REPAIR_TIMEOUT_S)


def read_through_a_stranger_to_it(peers: list[Peer], rows: list[dict[str, Any]], home: Path, teller: Teller) -> None:
    """Fetch a thumbnail through a peer that does not hold the image, and compare it with a holder's."""
    for row in rows:
        holders = {h["peer_id"] for h in peers[0].one("show", row["root"])["holders"]}
        without = [p for p in peers if p.peer_id not in holders]
        within = [p for p in peers if p.peer_id in holders]
        if without and within:
            break
    else:
        raise PeerFailed("every peer holds every image: nothing to fetch through")
    pictures = []
    for peer in (without[0], within[0]):
        path = home / f"{peer.name}.webp"
        peer.call("get", row["root"], "--variant", "small", "-o", str(path))
        pictures.append(path.read_bytes())
    if pictures[0] != pictures[1] or not pictures[0]:
        raise PeerFailed(f"the thumbnail of {row['root']} differs between {without[0].name} and {within[0].name}")
    teller.say(f"{without[0].name} never had {Path(row['path']).name}; it served its thumbnail all the same")
