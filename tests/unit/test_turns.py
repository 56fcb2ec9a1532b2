"""What writes under one key does so in the order in which it came, whoever is cancelled."""

import threading

import pytest
import trio
import trio.testing

from node.swarm.turns import Turns


async def test_each_waits_for_all_before_it_under_one_of_its_keys() -> None:
    turns, written = Turns(), list[int]()
    async with trio.open_nursery() as nursery:
        begun = threading.Event()

        def first() -> None:
            begun.wait()
            written.append(1)

        # Each task here has its turn before the next is started.
        for number, keys, write in [
            (1, [b"a"], first),
            (2, [b"a", b"b"], lambda: written.append(2)),
            (3, [b"b"], lambda: written.append(3)),
        ]:
            nursery.start_soon(turns.write, keys, write, name=f"{number}")
            await trio.testing.wait_all_tasks_blocked()
        await turns.write([b"c"], lambda: written.append(4))
        begun.set()
    assert written == [4, 1, 2, 3]
    assert not turns._last


async def test_one_that_is_cancelled_writes_nothing_and_lets_nobody_overtake_those_before_it() -> None:
    turns, written, begun = Turns(), list[int](), threading.Event()

    def first() -> None:
        begun.wait()
        written.append(1)

    async def cancelled() -> None:
        with trio.move_on_after(0):
            await turns.write([b"a"], lambda: written.append(2))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.write, [b"a"], first)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(cancelled)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(turns.write, [b"a"], lambda: written.append(3))
        await trio.testing.wait_all_tasks_blocked()
        begun.set()
    assert written == [1, 3]


async def test_what_fails_keeps_nobody_waiting() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError):
        await turns.write([b"a"], lambda: 1 // 0)
    assert await turns.write([b"a"], lambda: 5) == 5
