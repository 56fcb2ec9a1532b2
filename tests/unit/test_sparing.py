"""Which images stay for pins that others cut short, and for how long: never longer than the pins themselves would."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import trio
import trio.testing

from node.events import wall_ms
from node.swarm.set_aside import SetAside
from node.swarm.sparing import RECORDS_EACH, Sparing, WantedUntil
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
        self.kinds: tuple[str, ...] = ("ipfs",)
        self.is_recovering = False
        self.counting: Any = SimpleNamespace(
            trash_days=30,
            get=lambda key: next((pin for pin in self.pins if pin.key == key), None),
            live_pins=lambda root: [pin for pin in self.pins if pin.record.root == root],  # type: ignore[union-attr]
        )
        knowledge: Any = SimpleNamespace(
            records=SimpleNamespace(counting=self.counting, on_replaced=None),
            membership=SimpleNamespace(
                swarm_ms=lambda now_ms: now_ms + self.behind_ms * self.is_sure,
                span_ms=lambda now_ms: (now_ms, now_ms + self.behind_ms),
            ),
            own=SimpleNamespace(kinds_of=lambda root: self.kinds),
            events=SimpleNamespace(tell=lambda kind, **fields: None),
        )
        self.store = Store.open(folder)
        self.aside = SetAside(self.store)
        self.sparing = Sparing(knowledge, self.aside, is_recovering=lambda: self.is_recovering)

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


async def test_who_does_not_know_yet_what_it_holds_spares_all(tmp_path: Path) -> None:
    """Else the images of whoever is expelled while this peer makes its catalogue anew are not held again, and go."""
    peer = Peer(tmp_path)
    peer.kinds = ()
    try:
        await peer.cut(PIN)
        assert len(peer.aside) == 0
        peer.is_recovering = True
        await peer.cut(PIN)
        assert PIN.root in peer.aside
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


async def test_of_one_root_so_many_are_kept_of_one_batch_and_its_pins_are_looked_at_once(tmp_path: Path) -> None:
    """Whoever pins an image a hundred thousand times, for a day, must not have all those looked at for each that is cut short."""
    peer = Peer(tmp_path, replace(PIN, id=b"2" * 16, expires_ms=wall_ms() + MS_PER_DAY))
    try:
        with patch.object(peer.counting, "live_pins", side_effect=peer.counting.live_pins) as asked:
            await peer.cut(*(replace(PIN, id=b"many" + bytes([number]) * 12) for number in range(5 * RECORDS_EACH)))
            assert len(peer.aside) == RECORDS_EACH
            assert peer.aside.over(wall_ms(), WantedUntil(peer.counting)) == []
        assert asked.call_count == 2
    finally:
        peer.store.close()


async def test_what_is_cut_short_while_a_root_is_let_go_because_it_was_wanted_again_is_put_aside(
    tmp_path: Path,
) -> None:
    peer, begun, may_end = Peer(tmp_path), threading.Event(), threading.Event()
    forget = peer.store.forget_records

    def slow(keys: Sequence[bytes]) -> None:
        begun.set()
        may_end.wait()
        forget(keys)

    try:
        await peer.cut(*(replace(PIN, id=bytes([number]) * 16) for number in range(RECORDS_EACH)))
        again = replace(PIN, id=b"again" + bytes(11))
        peer.pins = [signed(again)]
        keys = peer.aside.over(wall_ms(), WantedUntil(peer.counting))
        assert len(keys) == RECORDS_EACH
        with patch.object(peer.store, "forget_records", slow):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(peer.aside.drop, keys)
                await trio.to_thread.run_sync(begun.wait)
                peer.pins = []
                nursery.start_soon(peer.cut, again)
                await trio.testing.wait_all_tasks_blocked()
                may_end.set()
        assert len(peer.aside) == 1
        assert PIN.root in peer.aside
    finally:
        may_end.set()
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


async def test_what_another_pin_wants_for_thirty_days_by_a_clock_that_may_be_behind_is_put_aside(
    tmp_path: Path,
) -> None:
    ends_soon = replace(PIN, id=b"2" * 16, expires_ms=wall_ms() + 40 * MS_PER_DAY)
    peer = Peer(tmp_path, ends_soon)
    try:
        peer.behind_ms, peer.is_sure = 39 * MS_PER_DAY, False
        await peer.cut(PIN)
        assert (peer.kept_until_ms() or 0) > wall_ms() + 68 * MS_PER_DAY
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
