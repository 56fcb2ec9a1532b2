"""Reconciliation over libp2p between two hosts, every byte of its streams counted, the records themselves apart."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import patch

import pytest
import trio

from node.swarm.names import SYNC
from node.swarm.sync_answers import SyncAnswers
from node.swarm.sync_session import carry_out
from protocol.holdings_messages import LastHeardAnswer
from protocol.messages import SYNC_ANSWERS, read_message, write_message
from protocol.net.rpc import Rpc
from protocol.net.streams import Stream
from protocol.ordered import OrderedSet
from protocol.sync import Step, SyncAnswer, SyncAsk, SyncAsker
from protocol.sync_messages import SyncRecords
from tests.net.hosts import hosts


class Row(NamedTuple):
    """What sync asks of a record: the bytes are as long as a pin's, and say nothing."""

    place: bytes
    digest: bytes

    @property
    def raw(self) -> bytes:
        return self.digest * 15


def rows(count: int, versions: int) -> tuple[list[Row], list[Row]]:
    """So many records, and later versions of the first few of them."""
    draw = random.Random(count)
    keys = [b"\x05" + draw.randbytes(7) for _ in range(count)]
    made = [Row(key + digest[:16], digest) for key in keys if (digest := draw.randbytes(32))]
    later = [Row(key + digest[:16], digest) for key in keys[:versions] if (digest := draw.randbytes(32))]
    return made, later


def ordered(held: list[Row]) -> OrderedSet[Row]:
    return OrderedSet(lambda row: row.place, lambda row: row.digest, held)


@contextmanager
def counted() -> Iterator[list[int]]:
    """The bytes that either host hands to a stream of sync."""
    sent: list[int] = []
    write = Stream.write

    async def counting(self: Stream, body: bytes) -> None:
        if self.protocol == SYNC:
            sent.append(len(body))
        await write(self, body)

    with patch.object(Stream, "write", counting):
        yield sent


async def reconcile(theirs: OrderedSet[Row], ours: OrderedSet[Row]) -> tuple[int, int, int]:
    """Let one host catch up with another; the records that came, the round trips, the bytes beside the records."""
    came = trips = 0
    async with hosts(2) as (one, other):
        rpcs = [Rpc(one), Rpc(other)]
        for rpc, held in zip(rpcs, (theirs, ours), strict=True):
            SyncAnswers(
                rpc,
                SimpleNamespace(tally=held),
                stated=lambda _: None,
                last_heard=lambda _: LastHeardAnswer(),  # type: ignore[arg-type]
            )
        record_bytes = 0

        async def call(ask: SyncAsk) -> SyncAnswer:
            nonlocal trips
            trips += 1
            raw = await rpcs[1].call(one.peer_id, SYNC, write_message(ask), 60)
            return read_message(raw, SYNC_ANSWERS)  # type: ignore[return-value]

        async def take(step: Step) -> None:
            nonlocal came, record_bytes
            came += len(step.records)
            record_bytes += len(write_message(SyncRecords(records=step.records))) - len(write_message(SyncRecords()))

        with counted() as sent, trio.fail_after(120):
            await carry_out(SyncAsker(ours), call, take, at_once=1)
        return came, trips, sum(sent) - record_bytes


@pytest.mark.parametrize(("count", "most_kib"), [(20_000, 64), pytest.param(1_000_000, 160, marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", ["missing", "later", "both ways"])
async def test_a_hundred_differences_take_three_round_trips(count: int, most_kib: int, how: str) -> None:
    made, later = rows(count, 100)
    theirs, ours = {
        "missing": (made, made[100:]),
        "later": (made[100:] + later, made),
        "both ways": (made[50:], made[:-50]),
    }[how]
    came, trips, cost_bytes = await reconcile(ordered(theirs), ordered(ours))
    print(f"{count} records, 100 {how}: {trips} round trips, {cost_bytes} bytes")
    assert came == (50 if how == "both ways" else 100)
    assert trips == 3
    assert cost_bytes <= most_kib * 1024


async def test_equal_sets_take_one_small_round_trip() -> None:
    made, _ = rows(20_000, 0)
    came, trips, cost_bytes = await reconcile(ordered(made), ordered(made))
    assert (came, trips) == (0, 1)
    assert cost_bytes < 200
