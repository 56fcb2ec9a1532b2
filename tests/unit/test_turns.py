"""Who comes for one key has his turn in the order in which all came, whoever is cancelled."""

import pytest
import trio
import trio.testing

from node.swarm.turns import Turns


class Written:
    """Has each write wait until it is told, and notes it then."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.may_end = trio.Event()
        self.done: list[int] = []

    async def write(self, number: int, *keys: bytes) -> None:
        async with self.turns.of(keys):
            await self.may_end.wait()
            self.done.append(number)


async def test_each_waits_for_all_before_it_under_one_of_its_keys() -> None:
    written, other = Written(), Written()
    other.turns = written.turns
    other.may_end.set()
    async with trio.open_nursery() as nursery:
        for number, keys in [(1, [b"a"]), (2, [b"a", b"b"]), (3, [b"b"])]:
            nursery.start_soon(written.write, number, *keys)
            await trio.testing.wait_all_tasks_blocked()
        await other.write(4, b"c")
        assert (written.done, other.done) == ([], [4])
        assert written.turns
        written.may_end.set()
    assert written.done == [1, 2, 3]
    assert not written.turns


async def test_one_that_is_cancelled_lets_nobody_overtake_those_before_it() -> None:
    written, other = Written(), Written()
    other.turns = written.turns
    other.may_end.set()

    async def cancelled() -> None:
        with trio.move_on_after(0):
            await other.write(2, b"a")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(written.write, 1, b"a")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(cancelled)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(other.write, 3, b"a")
        await trio.testing.wait_all_tasks_blocked()
        assert other.done == []
        written.may_end.set()
    assert (written.done, other.done) == ([1], [3])


async def test_who_fails_keeps_nobody_waiting() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError):
        async with turns.of([b"a"]):
            raise ZeroDivisionError
    async with turns.of([b"a"]):
        assert turns
    assert not turns
