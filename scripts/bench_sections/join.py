"""How long a newcomer takes to know a swarm of 100,000 pins, and a peer to start with them."""

import tempfile
import time
from pathlib import Path

from node.control.client import Control
from node.demo.peers import Peer, wait_until
from node.keys import IDENTITY, read_key
from node.swarm.seals import Seals
from node.swarm.storing import entry_of
from protocol.author import Author
from protocol.pin import Pin, pin_id
from scripts.bench_sections.figures import Figure
from store.cid import DAG_PB, RAW, cid_of
from store.store import Store

PINS = 100_000
AT_ONCE = 5000
BAR_S = 10.0
TIMEOUT_S = 300.0


def join() -> list[Figure]:
    """From the start of the newcomer's daemon until its `status` counts every pin; then the other's own start again."""
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        first, newcomer = Peer(Path(home) / "first", "first"), Peer(Path(home) / "new", "new")
        try:
            first.init()
            write_pins(first, PINS)
            start_s = time.monotonic()
            first.start()
            started_s = time.monotonic() - start_s
            newcomer.init("--join", first.one("invite")["invite"])
            start_s = time.monotonic()
            newcomer.start()
            wait_until(lambda: total(newcomer) >= PINS, timeout_s=TIMEOUT_S, what=f"{PINS} pins at the newcomer")
            joined_s = time.monotonic() - start_s
        finally:
            for peer in (newcomer, first):
                peer.kill()
    return [
        Figure("join", f"joining a swarm with {PINS:,} pins", joined_s, "s", BAR_S, "bar", BAR_S / joined_s, 1.0),
        Figure("join", f"starting a peer with {PINS:,} pins", started_s, "s"),
    ]


def total(peer: Peer) -> int:
    """Images that a peer knows to be wanted, by what `status` asks; starting the command itself would weigh more."""
    with Control(peer.data_dir) as control:
        return int(control.call("GET", "/v1/status", timeout_s=TIMEOUT_S)["images"]["total"])


def write_pins(peer: Peer, count: int) -> None:
    """Sign pins as this peer and put them into its store, as many `add`s would; the daemon is not running."""
    key = read_key(peer.data_dir, IDENTITY)
    assert key is not None
    author, seals, now_ms = Author(key), Seals(key), time.time_ns() // 1_000_000
    store = Store.open(peer.data_dir)
    try:
        for begin in range(0, count, AT_ONCE):
            signed = [
                author.write(pin_of(number, now_ms), now_ms) for number in range(begin, min(count, begin + AT_ONCE))
            ]
            store.append_records([entry_of(one, seals) for one in signed])
    finally:
        store.close()


def pin_of(number: int, now_ms: int) -> Pin:
    """A pin with what an image's has, of a root that nobody holds."""
    root, original = (cid_of(codec, f"no image {number}".encode()) for codec in (DAG_PB, RAW))
    name = f"2024/holiday/IMG_{number:06d}.jpg"
    return Pin(
        id=pin_id("default", root, name), flow="default", root=root, original=original, name=name,
        media_type="image/jpeg", width_px=3840, height_px=2160, phash=f"{number:016x}", size_bytes=4_000_000 + number,
        added_at_ms=now_ms, taken_at_ms=now_ms - 86_400_000,
    )  # fmt: skip
