"""Two peers that compare themselves agree in the end, although one has words of an author that count nowhere."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from node.events import wall_ms
from node.swarm.catching_up import CatchingUp
from node.swarm.records import SharedRecords
from node.swarm.sync_answers import SyncAnswers
from protocol.author import Author
from protocol.holdings import HoldingsBook
from protocol.holdings_messages import LastHeardAnswer
from protocol.pin import Pin
from protocol.records import Record, Signed
from protocol.recordset import RecordSet
from store.store import Store
from tests.swarm.fellows import Founded
from tests.swarm.test_lacking import Line


async def test_a_later_word_that_does_not_count_is_told_where_an_earlier_one_counts(tmp_path: Path) -> None:
    founded = Founded(2)
    author, now_ms = Author(founded.keys[1]), wall_ms()
    pin = Pin(id=bytes(16), flow="f", root=b"\x01\x55\x12\x20" + bytes(32), trashed_ms=now_ms)
    trashed = author.write(pin, now_ms)
    purged = author.write(Pin(id=pin.id, flow="f", root=pin.root, deleted=True), now_ms)  # which a steward alone may

    member = RecordSet(founded.swarm)
    member.merge_all([*founded.records, trashed], now_ms)
    line: Any = Line()
    SyncAnswers(line, member, stated=lambda _: None, last_heard=lambda *_: LastHeardAnswer())
    told: list[Signed[Record]] = []
    store = Store.open(tmp_path)
    try:
        records = SharedRecords(
            store, RecordSet(founded.swarm), Author(founded.keys[0]), None, on_change=lambda _: None,
            on_news=told.extend,
        )  # fmt: skip
        await records.accept([one.raw for one in (*founded.records, purged)], relay=False)
        await records.accept([trashed.raw], relay=False)
        assert told == []  # gossip brings old words again whenever somebody likes
        catching_up = CatchingUp(
            line, records, HoldingsBook(), reachable=frozenset, on_holders=lambda _: None, on_offence=_never
        )
        await catching_up.lacking("member")
        assert purged in told
        member.merge_all(told, now_ms)
        assert member.digest == records.counting.digest
    finally:
        store.close()


async def test_no_more_is_passed_on_than_came(tmp_path: Path) -> None:
    """A member that answers a sync with one record a thousand times must not have us flood all others."""
    founded = Founded(2)
    author, now_ms = Author(founded.keys[1]), wall_ms()
    long = "n" * 3000
    pins = [Pin(id=bytes([n]) * 16, flow="f", root=b"root", trashed_ms=now_ms) for n in range(20)]
    trashed = [author.write(pin, now_ms) for pin in pins]
    purged = [author.write(replace(pin, deleted=True, name=long), now_ms) for pin in pins]
    told: list[Signed[Record]] = []
    store = Store.open(tmp_path)
    try:
        records = SharedRecords(
            store, RecordSet(founded.swarm), Author(founded.keys[0]), None, on_change=lambda _: None,
            on_news=told.extend,
        )  # fmt: skip
        await records.accept([one.raw for one in (*founded.records, *purged)], relay=False)
        for came in ([trashed[0].raw] * 100, [one.raw for one in trashed], [trashed[-1].raw]):
            told.clear()
            await records.accept(came, relay=False, compared=True)
            assert 1 <= len(told) == len(set(told))
            assert sum(len(one.raw) for one in told[1:]) <= sum(map(len, came))
        assert told == [purged[-1]]
    finally:
        store.close()


async def _never(peer: str) -> None:
    raise AssertionError(f"{peer} did nothing wrong")
