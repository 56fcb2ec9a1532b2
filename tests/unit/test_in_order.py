"""Several at once, told in order."""

import threading
from collections.abc import Iterator

import pytest

from node.cli.in_order import in_order


def test_results_come_in_the_order_of_the_items_although_work_overlaps() -> None:
    together = threading.Barrier(4, timeout=30)

    def work(number: int) -> int:
        together.wait()
        return number * number

    assert list(in_order(range(8), lambda: work, 4)) == [(n, n * n) for n in range(8)]


def test_items_are_taken_only_a_little_ahead() -> None:
    taken = []

    def source() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_order(source(), lambda: lambda number: number, 2)
    assert next(results) == (0, 0)
    assert len(taken) <= 4


def test_an_exception_comes_at_its_place() -> None:
    results = in_order([2, 1, 0, 1], lambda: lambda number: 2 // number, 2)
    assert [next(results), next(results)] == [(2, 1), (1, 2)]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_each_thread_makes_its_own_work() -> None:
    made = []

    def make() -> object:
        made.append(threading.get_ident())
        return lambda number: number

    assert len(list(in_order(range(20), make, 3))) == 20  # type: ignore[arg-type]
    assert len(made) == len(set(made)) <= 3
