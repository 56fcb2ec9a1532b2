"""What a peer that comes home finds a member to lack: what that one let go, and what it knows another version of."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from node.events import wall_ms
from node.swarm.catching_up import CatchingUp
from node.swarm.records import SharedRecords
from node.swarm.sync_answers import SyncAnswers
from protocol.author import Author
from protocol.errors import Refused
from protocol.holdings import HoldingsBook
from protocol.holdings_messages import LastHeardAnswer
from protocol.identity import KeyPair
from protocol.pin import Pin
from protocol.records import Expulsion, Record, Signed, sign_record
from protocol.recordset import RecordSet
from store.store import Store
from tests.swarm.fellows import Founded

STEWARD = KeyPair(b"s" * 32)


class Line:
    """A line between two peers of this process."""

    def __init__(self) -> None:
        self._answer: Callable[[str, bytes], Awaitable[bytes]] | None = None

    def register(self, protocol: str, answer: Callable[[str, bytes], Awaitable[bytes]], **_: Any) -> None:
        self._answer = answer

    async def call(self, peer: str, protocol: str, body: bytes, timeout_s: float) -> bytes:
        assert self._answer is not None
        return await self._answer("asker", body)


def pin(author: Author, number: int) -> Signed[Record]:
    return author.write(Pin(id=bytes([number]) * 16, flow="f", root=b"\x01\x55\x12\x20" + bytes(32)), wall_ms())


async def test_a_pin_signed_anew_at_an_expulsion_is_known_where_the_old_one_counts(tmp_path: Path) -> None:
    founded = Founded(3)
    expelled, home = Author(founded.keys[2]), Author(founded.keys[0])
    theirs = pin(expelled, 1)
    deleted = pin(home, 2)
    anew = sign_record(theirs.record, STEWARD)
    expulsion = Author(STEWARD).write(Expulsion(peer=founded.keys[2].peer_id), wall_ms())

    member = RecordSet(founded.swarm)
    member.merge_all([*founded.records, theirs], wall_ms())
    line: Any = Line()
    SyncAnswers(line, member, stated=lambda _: None, last_heard=lambda *_: LastHeardAnswer())

    store = Store.open(tmp_path)
    try:
        records = SharedRecords(
            store, RecordSet(founded.swarm), home, None, on_change=lambda _: None, on_news=lambda _: None
        )
        await records.accept([one.raw for one in (*founded.records, theirs, deleted, anew, expulsion)])
        assert records.counting.get(theirs.key) == anew
        catching_up = CatchingUp(
            line, records, HoldingsBook(), reachable=frozenset, on_holders=lambda _: None,
            on_offence=_never,
        )  # fmt: skip
        lacking, known_there = await catching_up.lacking("member")
        assert {one for one in lacking if isinstance(one.record, Pin)} == {anew, deleted}
        assert known_there == {anew.key}
        assert records.counting.get(theirs.key) == anew
    finally:
        store.close()


async def test_who_answers_nonsense_is_cut_off(tmp_path: Path) -> None:
    founded = Founded(2)
    line: Any = Line()
    line.register("", _nonsense)
    cut: list[str] = []

    async def cut_off(peer: str) -> None:
        cut.append(peer)

    store = Store.open(tmp_path)
    try:
        records = SharedRecords(
            store, RecordSet(founded.swarm), Author(founded.keys[0]), None, on_change=lambda _: None,
            on_news=lambda _: None,
        )  # fmt: skip
        catching_up = CatchingUp(
            line, records, HoldingsBook(), reachable=frozenset, on_holders=lambda _: None, on_offence=cut_off
        )
        with pytest.raises(Refused):
            await catching_up.lacking("liar")
        assert cut == ["liar"]
        assert sum(records.refusals.counts().values()) == 1
    finally:
        store.close()


async def _nonsense(peer: str, body: bytes) -> bytes:
    return b"nonsense"


async def _never(peer: str) -> None:
    raise AssertionError(f"{peer} did nothing wrong")
