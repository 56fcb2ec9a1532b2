"""An expulsion of somebody who pinned much: the others are served meanwhile, and nothing is concluded from half of it."""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import pytest
import trio

from node.events import wall_ms
from node.swarm import own_word
from node.swarm import records as shared
from node.swarm.records import SharedRecords
from protocol.author import Author
from protocol.changes import Changes
from protocol.codec import encode_value
from protocol.identity import KeyPair
from protocol.pin import Pin
from protocol.records import Expulsion, Record, Signed
from protocol.recordset import RecordSet
from store.errors import StoreFull
from store.record_lines import RecordEntry
from store.store import Store
from tests.swarm.fellows import Founded

PINS = 40
ROOTS = [b"root" + bytes([n]) for n in range(PINS)]
AT_ONCE = 3
SPOILT = (b"\xff", b"", b"\x81" * 5000, b"\x81\x1b" + b"\x7f" * 8, encode_value(["text"]), encode_value(None))
"""Of own words: what no disk should give back, and no start may end by."""


class Member:
    """One that knows a swarm of two, the other of which has pinned much."""

    def __init__(self, store: Store, founded: Founded | None = None) -> None:
        self.founded = founded or Founded(2)
        self.told: list[Changes] = []
        self.replaced: list[Signed[Record]] = []
        self.records = SharedRecords(
            store, RecordSet(self.founded.swarm), Author(self.founded.keys[0]), Author(KeyPair(b"s" * 32)),
            on_change=self.told.append, on_news=lambda _: None,
        )  # fmt: skip
        self.records.on_replaced = self._spare

    async def _spare(self, replaced: Sequence[Signed[Record]]) -> None:
        assert self.records.unjudged()  # what was cut short is spared before anybody may conclude anything from it
        self.replaced += replaced

    async def know(self) -> None:
        bob = Author(self.founded.keys[1])
        pins = [bob.write(Pin(id=bytes([n]) * 16, flow="f", root=root), wall_ms()) for n, root in enumerate(ROOTS)]
        await self.records.accept([signed.raw for signed in (*self.founded.records, *pins)])
        assert self.records.counting.pin_count == PINS
        self.told.clear()

    async def expel(self) -> None:
        await self.records.write(Expulsion(peer=self.founded.keys[1].peer_id), as_steward=True)


async def test_an_expulsion_lets_others_in_between_who_see_that_it_is_not_over(tmp_path: Path) -> None:
    seen: list[tuple[int, str]] = []

    async def look(member: Member) -> None:
        while True:
            seen.append((member.records.counting.pin_count, member.records.unjudged()))
            await trio.lowlevel.checkpoint()

    store = Store.open(tmp_path)
    try:
        member = Member(store)
        await member.know()
        with patch.object(shared, "JUDGED_AT_ONCE", AT_ONCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(look, member)
                await member.expel()
                nursery.cancel_scope.cancel()
    finally:
        store.close()
    counts = [count for count, _ in seen]
    assert max(a - b for a, b in itertools.pairwise(counts)) <= 2 * AT_ONCE  # turns are taken in a random order
    assert all(why for count, why in seen if 0 < count < PINS)
    assert not member.records.unjudged()
    assert frozenset[bytes]().union(*(changes.roots for changes in member.told)) == set(ROOTS)
    assert len(member.replaced) == PINS


async def test_who_has_brought_an_expulsion_may_go_away_and_it_is_judged_all_the_same(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    try:
        member = Member(store)
        await member.know()
        with patch.object(shared, "JUDGED_AT_ONCE", AT_ONCE), trio.CancelScope() as gone:
            member.records.on_replaced = _and_cancel(member, gone)
            await member.expel()
        assert gone.cancel_called
        assert member.records.counting.pin_count == 0
        assert not member.records.unjudged()
        assert len(member.replaced) == PINS
    finally:
        store.close()


def _and_cancel(member: Member, scope: trio.CancelScope) -> Callable[[Sequence[Signed[Record]]], Awaitable[None]]:
    spare = member.records.on_replaced

    async def spare_and_cancel(replaced: Sequence[Signed[Record]]) -> None:
        scope.cancel()
        await spare(replaced)

    return spare_and_cancel


@pytest.mark.parametrize("own", [True, False])
async def test_an_expulsion_is_on_disk_only_after_all_that_it_cuts_short_is_spared(
    tmp_path: Path, *, own: bool
) -> None:
    spared: list[int] = []
    store = Store.open(tmp_path)
    try:
        member = Member(store)
        await member.know()
        expulsion = Author(KeyPair(b"s" * 32)).write(Expulsion(peer=member.founded.keys[1].peer_id), wall_ms())
        append = store.append_records

        def note(entries: Sequence[RecordEntry]) -> None:
            if expulsion.storage_key in {entry.key for entry in entries}:
                spared.append(len(member.replaced))
            append(entries)

        with patch.object(shared, "JUDGED_AT_ONCE", AT_ONCE), patch.object(store, "append_records", note):
            await (member.records.put([expulsion]) if own else member.records.accept([expulsion.raw]))
    finally:
        store.close()
    assert spared == [PINS]


async def test_what_a_steward_wrote_here_is_seen_through_after_a_crash_and_all_that_it_cuts_short_is_spared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next start finds images that nothing wants, and nobody knows that they were to stay."""
    store = Store.open(tmp_path)
    try:
        member = Member(store)
        await member.know()
        monkeypatch.setattr(shared, "JUDGED_AT_ONCE", AT_ONCE)
        written = [entry.raw for entry in store.load_records()]
        with patch.object(member.records, "on_replaced", _crash), pytest.raises(Crash):
            await member.expel()
        assert [entry.raw for entry in store.load_records()] == written

        again = Member(store, member.founded)
        await again.records.load()
        assert again.records.counting.pin_count == PINS
        with patch.object(store, "append_records", _refuse):
            await again.records.go_on()
        assert again.records.counting.pin_count == 0
        spoilt = {f"{own_word.FACT}{number} spoilt": raw for number, raw in enumerate(SPOILT)}
        store.set_facts(spoilt)
        again = Member(store, member.founded)
        await again.records.load()
        await again.records.go_on()
        assert again.records.counting.pin_count == 0
        assert len(again.replaced) == PINS
        assert store.facts(own_word.FACT) == spoilt
        assert len(list(store.load_records())) == len(written) + 1
    finally:
        store.close()


async def test_an_expulsion_that_the_disk_refuses_changes_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    try:
        member = Member(store)
        await member.know()
        with patch.object(store, "set_fact", _refuse), pytest.raises(StoreFull):
            await member.expel()
        assert member.records.counting.pin_count == PINS
        assert member.replaced == []
    finally:
        store.close()


class Crash(BaseException):
    """The process ends here."""


async def _crash(replaced: Sequence[Signed[Record]]) -> None:
    raise Crash


def _refuse(*_: object) -> None:
    raise StoreFull(1, 0)
