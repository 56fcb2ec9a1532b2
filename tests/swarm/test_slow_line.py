"""A member on a slow line is asked for less at a time, and all that it has comes in the end."""

from functools import partial

import pytest
import trio
import trio.testing

from node.swarm.catching_up import CALL_TIMEOUT_S, CALLS_AT_ONCE, PAGES_AT_ONCE
from node.swarm.sync_session import carry_out
from protocol.messages import write_message
from protocol.net.errors import RpcTimeout
from protocol.ordered import OrderedSet
from protocol.sync import Step, SyncAnswer, SyncAsk, SyncAsker, answer_compare, answer_records
from protocol.sync_messages import SyncCompare
from tests.swarm.test_sync_wire import Row, ordered, rows


class Line:
    """Answers from a set, one after the other, at so many bytes a second; late ones keep the others waiting all the same."""

    def __init__(self, held: OrderedSet[Row], bytes_a_second: float) -> None:
        self._held = held
        self._rate = bytes_a_second
        self._free_s = 0.0
        self.most_s = 0.0
        self.asked = self.most = 0

    async def call(self, ask: SyncAsk) -> SyncAnswer:
        answer: SyncAnswer = (
            answer_compare(self._held, ask) if isinstance(ask, SyncCompare) else answer_records(self._held, ask)  # type: ignore[arg-type]
        )
        now_s = trio.current_time()
        self._free_s = max(self._free_s, now_s) + len(write_message(answer)) / self._rate
        self.asked += 1
        self.most = max(self.most, self.asked)
        try:
            with trio.move_on_after(CALL_TIMEOUT_S):
                await trio.sleep_until(self._free_s)
                return answer
        finally:
            self.asked -= 1
        raise RpcTimeout("no answer")


@pytest.mark.parametrize(("bytes_a_second", "most"), [(15e3, 1), (100e3, 1), (10e6, CALLS_AT_ONCE)])
async def test_all_records_come_over(autojump_clock: trio.testing.MockClock, bytes_a_second: float, most: int) -> None:
    made, _ = rows(12_000, 0)
    line = Line(ordered(made), bytes_a_second)
    came: list[bytes] = []

    async def take(step: Step) -> None:
        came.extend(step.records)

    carry = partial(carry_out, at_once=PAGES_AT_ONCE, calls_at_once=CALLS_AT_ONCE)
    await carry(SyncAsker(ordered([])), line.call, take)
    assert sorted(came) == sorted(row.raw for row in made)
    assert line.most == most
