"""Until when a peer was in touch, as its data directory tells at a start, and what it keeps of what it put aside."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.events import wall_ms
from node.swarm.heard import Heard
from node.swarm.homecoming import FACT, Homecoming, load_touch
from node.swarm.set_aside import SetAside
from protocol.identity import KeyPair, PeerId
from protocol.limits import MS_PER_DAY
from protocol.membership import Membership
from protocol.records import Pin, sign_record
from protocol.roles import Standing
from protocol.stamp import ZERO, Stamp
from protocol.touch import Aside, Touch
from store.store import RecordEntry, Store

ME = PeerId("me")
MEMBER = Standing(roles=("curator", "keeper"), since=Stamp(1, 0), left=False, expelled=False)
BOB = PeerId(KeyPair(b"b" * 32).peer_id)


def filled(folder: Path) -> Path:
    """A data directory with a record in it."""
    store = Store.open(folder)
    store.append_records([RecordEntry(key=b"k", kind="pin", raw=b"raw")])
    store.close()
    return folder


def touch_in(folder: Path, heard: dict[PeerId, Heard], newest: Stamp) -> Touch:
    store = Store.open(folder)
    try:
        return load_touch(store, heard, newest)
    finally:
        store.close()


def test_a_new_peer_and_one_of_an_older_version_are_in_touch(tmp_path: Path) -> None:
    before_ms = wall_ms()
    assert touch_in(tmp_path / "new", {}, ZERO).at_ms >= before_ms
    assert touch_in(filled(tmp_path / "older"), {BOB: Heard(1, 1, 5)}, Stamp(5, 0)).at_ms >= before_ms


def test_what_was_written_down_holds(tmp_path: Path) -> None:
    touch = Touch(7, 6, Stamp(5, 4), 3, ("me", BOB))
    store = Store.open(tmp_path)
    store.set_fact(FACT, touch.to_bytes())
    store.close()
    assert touch_in(tmp_path, {}, Stamp(9, 0)) == touch


def test_what_a_backup_was_restored_to_is_as_old_as_its_newest_record(tmp_path: Path) -> None:
    """Its archive holds the records alone; it must not bring back what was deleted and forgotten since."""
    folder = filled(tmp_path)
    (folder / "catalogue.db").unlink()
    old = Stamp(wall_ms() - 90 * MS_PER_DAY, 0)
    touch = touch_in(folder, {}, old)
    assert touch == Touch(old.ms)
    assert touch.unsynced(wall_ms())
    assert touch_in(folder, {}, Stamp(2 * wall_ms(), 0)).at_ms <= wall_ms(), "a stamp of a clock that was wrong"
    heard_ms = old.ms + 80 * MS_PER_DAY
    assert touch_in(folder, {BOB: Heard(1, 1, heard_ms)}, old) == Touch(heard_ms), "its catalogue alone was lost"


def homecoming(
    store: Store, aside: SetAside, touch: Touch, wanted: set[bytes], *, others: int = 0, ahead_ms: int | None = None
) -> Homecoming:
    """Of a peer with all that `wanted` names, and with others, who are heard where it is known how far it is ahead."""
    pin = SimpleNamespace(record=Pin(id=bytes(16), flow="f", root=bytes(36)))
    counting = SimpleNamespace(
        live_pins=lambda root: [pin] if root in wanted else [],
        trash_days=30,
        get=lambda key: None,
        members=lambda: range(1 + others),
    )
    membership = Membership(ME, 0.0)
    membership.set_standings({PeerId(f"peer {n}"): MEMBER for n in range(others)}, 0.0)
    for peer in membership.peers().values() if ahead_ms is not None else ():
        peer.offset_ms, peer.sees = -ahead_ms, "alive"
    knowledge: Any = SimpleNamespace(me=ME, records=SimpleNamespace(counting=counting), membership=membership)
    catching_up: Any = None
    return Homecoming(store, knowledge, catching_up, aside, touch, linked=frozenset, on_over=lambda _: None)


async def test_nothing_is_tidied_away_while_it_is_put_aside(tmp_path: Path) -> None:
    """It counts until all is put aside: a root that is wanted by that record alone is no root that is wanted again."""
    now_ms = wall_ms()
    pin = Pin(id=bytes(16), flow="f", root=b"root", stamp=Stamp(1, 0))
    store = Store.open(tmp_path)
    try:
        aside = SetAside(store)
        await aside.put([Aside(sign_record(pin, KeyPair(b"b" * 32)), "deleted", deleted=True)], now_ms, 30)
        await homecoming(store, aside, Touch(now_ms - 40 * MS_PER_DAY), {b"root"}).tidy()
        assert b"root" in aside
        await homecoming(store, aside, Touch(now_ms), set()).tidy()
        assert b"root" in aside
        await homecoming(store, aside, Touch(now_ms), {b"root"}).tidy()
        assert b"root" not in aside
        assert list(store.load_records(aside=True)) == []
    finally:
        store.close()


@pytest.mark.parametrize(
    ("others", "ahead_ms", "goes"),
    [
        (0, None, True),
        (1, 0, True),
        (2, 0, True),
        (1, 30 * MS_PER_DAY, False),
        (2, 30 * MS_PER_DAY, False),
        (1, None, False),  # as after a start with a clock that nobody has set yet, and no network
        (2, None, False),
    ],
)
async def test_nothing_goes_before_its_time_by_a_clock_that_may_be_ahead(
    tmp_path: Path, others: int, ahead_ms: int | None, *, goes: bool
) -> None:
    now_ms = wall_ms()
    pin = Pin(id=bytes(16), flow="f", root=b"root", stamp=Stamp(1, 0))
    store = Store.open(tmp_path)
    try:
        aside = SetAside(store)
        put_ms = now_ms - 31 * MS_PER_DAY
        await aside.put([Aside(sign_record(pin, KeyPair(b"b" * 32)), "deleted", deleted=True)], put_ms, 30)
        await homecoming(store, aside, Touch(now_ms), set(), others=others, ahead_ms=ahead_ms).tidy()
        assert (b"root" not in aside) == goes
    finally:
        store.close()
