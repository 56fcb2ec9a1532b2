"""One catching-up with one peer: carry out what `protocol.sync` asks for, several calls at a time."""

from collections import deque
from collections.abc import Awaitable, Callable

import trio

from protocol.errors import Refused
from protocol.limits import PAGE_BYTES
from protocol.net.errors import NetError
from protocol.sync import Step, SyncAnswer, SyncAsk, SyncAsker, V
from protocol.sync_messages import SyncRecords

QUICK_S = 1.0
SLOW_S = 5.0
LARGE_BYTES = PAGE_BYTES // 2
"""A large page that came sooner has one call more be on its way, an answer that took longer one fewer. Guess: a quarter of
what a call may take."""

Call = Callable[[SyncAsk], Awaitable[SyncAnswer]]
Take = Callable[[Step], Awaitable[None]]


async def carry_out(
    asker: SyncAsker[V], call: Call, take: Take, *, at_once: int = 1, calls_at_once: int = 1, in_thread: bool = False
) -> None:
    """Ask until nothing is left to ask.

    Args:
        call: brings the answer to one ask.
        take: takes in what an answer has brought, before more is asked of the same range.
        at_once: answers asked for or being taken in at a time, of those whose order does not matter.
        calls_at_once: how many of them may still be on their way, where the line is fast.
        in_thread: whether the asker works in a thread; its set must not change meanwhile.

    Raises:
        NetError: a call failed.
        Refused: the peer answers what no honest peer would; or `take` raised it.
    """

    async def handled(ask: SyncAsk, answer: SyncAnswer) -> Step:
        return await trio.to_thread.run_sync(asker.handle, ask, answer) if in_thread else asker.handle(ask, answer)

    calls = _Calls(call, calls_at_once)
    while asks := await trio.to_thread.run_sync(asker.next_asks) if in_thread else asker.next_asks():
        await _carry_out_all(deque(asks), calls.make, handled, take, at_once)


class _Calls:
    """As many calls on their way as bring their answers soon.

    Answers share one line: where eight pages at once take half a minute, all but the first few would come too late.
    """

    def __init__(self, call: Call, most: int) -> None:
        self._call = call
        self._most = most
        self._turns = trio.CapacityLimiter(1)

    async def make(self, ask: SyncAsk) -> SyncAnswer:
        async with self._turns:
            begun_s = trio.current_time()
            answer = await self._call(ask)
            took_s, at_once = trio.current_time() - begun_s, self._turns.total_tokens
            if took_s > SLOW_S:
                self._turns.total_tokens = max(1, at_once - 1)
            elif took_s < QUICK_S and isinstance(answer, SyncRecords) and sum(map(len, answer.records)) > LARGE_BYTES:
                self._turns.total_tokens = min(self._most, at_once + 1)
            return answer


async def _carry_out_all(
    waiting: deque[SyncAsk],
    call: Call,
    handle: Callable[[SyncAsk, SyncAnswer], Awaitable[Step]],
    take: Take,
    at_once: int,
) -> None:
    failures: list[NetError | Refused] = []

    async def work() -> None:
        try:
            while waiting:
                ask: SyncAsk | None = waiting.popleft()
                while ask is not None:
                    step = await handle(ask, await call(ask))
                    await take(step)
                    ask = step.again
        except (NetError, Refused) as error:
            failures.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for _ in range(min(at_once, len(waiting))):
            nursery.start_soon(work)
    if failures:
        raise failures[0]
