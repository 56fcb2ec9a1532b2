"""Do several things at once, and take their results in the order of the things."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    items: Iterable[Item], make_work: Callable[[], Callable[[Item], Result]], in_flight: int
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, in order; at most `in_flight` are worked on, and twice as many are taken ahead.

    Args:
        items: taken lazily.
        make_work: called once in each thread, for what a thread keeps to itself (a connection).

    Raises:
        Exception: what the work of an item raised, at that item's place.

    The threads are daemons: a Ctrl-C does not wait for them.
    """
    tasks: SimpleQueue[tuple[Item, SimpleQueue[Result | BaseException]] | None] = SimpleQueue()

    def labour() -> None:
        work = make_work()
        while (task := tasks.get()) is not None:
            item, slot = task
            try:
                slot.put(work(item))
            except BaseException as error:  # noqa: BLE001 - carried to whoever takes the result
                slot.put(error)

    threads = 0
    pending: deque[tuple[Item, SimpleQueue[Result | BaseException]]] = deque()
    source = iter(items)
    try:
        while True:
            for item in source:
                slot: SimpleQueue[Result | BaseException] = SimpleQueue()
                if threads < in_flight:
                    threading.Thread(target=labour, daemon=True).start()
                    threads += 1
                tasks.put((item, slot))
                pending.append((item, slot))
                if len(pending) >= 2 * in_flight:
                    break
            if not pending:
                return
            item, slot = pending.popleft()
            result = slot.get()
            if isinstance(result, BaseException):
                raise result
            yield item, result
    finally:
        for _ in range(threads):
            tasks.put(None)
