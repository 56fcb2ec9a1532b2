"""Which images stay for pins that others cut short, and for how long: never longer than the pins themselves would."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

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
        self.behind_ms, self.is_sure = 0, True
        counting = SimpleNamespace(
            trash_days=30,
            get=lambda key: next((pin for pin in self.pins if pin.key == key), None),
            live_pins=lambda root: [pin for pin in self.pins if pin.record.root == root],  # type: ignore[union-attr]
        )
        knowledge: Any = SimpleNamespace(
            records=SimpleNamespace(counting=counting, on_replaced=None),
            membership=SimpleNamespace(
                swarm_ms=lambda now_ms: now_ms + self.behind_ms * self.is_sure,
                span_ms=lambda now_ms: (now_ms, now_ms + self.behind_ms),
            ),
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


async def test_a_root_that_is_kept_for_many_short_lived_records_is_kept_for_a_long_lived_one(tmp_path: Path) -> None:
    """Else whoever has an image of his own end some times beforehand has the next pin of it end at once."""
    peer, soon_ms = Peer(tmp_path), wall_ms() + 60_000
    try:
        for number in range(RECORDS_EACH):
            await peer.cut(replace(PIN, id=bytes([number]) * 16, expires_ms=soon_ms))
        for number in range(2):
            await peer.cut(replace(PIN, id=bytes([100 + number]) * 16))
        assert len(peer.aside) == RECORDS_EACH + 1
        later_ms = soon_ms + MS_PER_DAY
        assert await peer.aside.drop(peer.aside.over(later_ms, lambda root, until_ms: False)) == []
        assert PIN.root in peer.aside
    finally:
        peer.store.close()


@pytest.mark.parametrize("is_sure", [True, False])
async def test_where_the_clock_may_be_wrong_the_later_time_counts(tmp_path: Path, *, is_sure: bool) -> None:
    """Else what is put aside by a clock that is a year behind goes once that is mended."""
    peer, year_ms = Peer(tmp_path), 365 * MS_PER_DAY
    try:
        peer.behind_ms, peer.is_sure = year_ms, is_sure
        await peer.cut(PIN)
        assert (peer.kept_until_ms() or 0) > wall_ms() + year_ms + 29 * MS_PER_DAY
    finally:
        peer.store.close()
