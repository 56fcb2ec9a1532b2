"""Which images stay for pins that others cut short, and for how long: never longer than the pins themselves would."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from node.events import wall_ms
from node.swarm.set_aside import SetAside
from node.swarm.sparing import RECORDS_EACH, Sparing
from protocol.author import Author
from protocol.identity import KeyPair
from protocol.limits import MS_PER_DAY
from protocol.pin import Pin
from protocol.records import Record, Signed
from store.store import Store

AUTHOR = Author(KeyPair(b"a" * 32))


def root(number: int) -> bytes:
    return b"\x01\x55\x12\x20" + bytes([number]) * 32


PIN = Pin(id=bytes(16), flow="f", root=root(1))


def signed(pin: Pin) -> Signed[Record]:
    return AUTHOR.write(pin, wall_ms())


class Peer:
    """One that holds every root; `pins` count."""

    def __init__(self, folder: Path, *pins: Pin) -> None:
        self.pins = list(map(signed, pins))
        counting = SimpleNamespace(
            trash_days=30,
            get=lambda key: next((pin for pin in self.pins if pin.key == key), None),
            live_pins=lambda root: [pin for pin in self.pins if pin.record.root == root],  # type: ignore[union-attr]
        )
        knowledge: Any = SimpleNamespace(
            records=SimpleNamespace(counting=counting, on_replaced=None),
            own=SimpleNamespace(kinds_of=lambda root: ("ipfs",)),
            events=SimpleNamespace(tell=lambda kind, **fields: None),
        )
        self.store = Store.open(folder)
        self.aside = SetAside(self.store)
        self.sparing = Sparing(knowledge, self.aside)

    async def cut(self, *pins: Pin) -> None:
        await self.sparing.spare([signed(pin) for pin in pins])

    def kept_until_ms(self) -> int | None:
        [kept] = self.aside._kept.values()
        return kept.until_ms


async def test_what_would_have_ended_by_itself_is_kept_no_longer(tmp_path: Path) -> None:
    now_ms = wall_ms()
    shorter = replace(PIN, expires_ms=now_ms + 1000)
    peer = Peer(tmp_path, shorter)
    try:
        await peer.cut(replace(PIN, expires_ms=now_ms + MS_PER_DAY))
        assert peer.kept_until_ms() == now_ms + MS_PER_DAY
        await peer.aside.drop(list(peer.aside._kept))
        await peer.cut(PIN)
        assert (peer.kept_until_ms() or 0) >= now_ms + 30 * MS_PER_DAY
        await peer.aside.drop(list(peer.aside._kept))
        peer.pins = []
        trashed_ms = now_ms - 20 * MS_PER_DAY
        await peer.cut(replace(PIN, trashed_ms=trashed_ms))
        assert peer.kept_until_ms() == trashed_ms + 30 * MS_PER_DAY
    finally:
        peer.store.close()


async def test_what_another_pin_wants_is_not_put_aside(tmp_path: Path) -> None:
    now_ms = wall_ms()
    another = replace(PIN, id=b"2" * 16)
    peer = Peer(tmp_path, another)
    try:
        await peer.cut(PIN)
        assert len(peer.aside) == 0
        peer.pins = [signed(replace(another, expires_ms=now_ms + MS_PER_DAY))]
        await peer.cut(replace(PIN, expires_ms=now_ms + 1000))
        assert len(peer.aside) == 0, "that one ends later"
        await peer.cut(PIN)
        assert len(peer.aside) == 1
    finally:
        peer.store.close()


async def test_a_root_is_kept_for_so_many_records_at_most(tmp_path: Path) -> None:
    peer = Peer(tmp_path)
    try:
        for number in range(2 * RECORDS_EACH):
            await peer.cut(replace(PIN, id=bytes([number]) * 16))
        assert len(peer.aside) == RECORDS_EACH
    finally:
        peer.store.close()
