"""The end of the daemon when it does not end by itself: after a signal, or when a bug has stopped one of its parts.

Nothing durable needs an orderly end, so a thread at a disk or a bucket that does not answer may hold it up for
`STOP_LIMIT_S` and no longer. What a bug was is told before that.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import trio

from node.errors import FAILED

log = logging.getLogger("pinakothek.daemon")

STOP_LIMIT_S = 9.5
"""Source: DESIGN §11: a clean stop within 10 s."""


def end_within(limit_s: float, because: Callable[[], Iterable[BaseException]] = tuple) -> None:
    """End this process after `limit_s`, whatever its threads are at; the errors `because` of which are told then."""

    def end() -> None:
        for error in because():
            log.critical("a bug stopped the daemon; please report it", exc_info=error)
        log.error("not stopped within %.0f s: ended as it is", limit_s)
        os._exit(FAILED)

    timer = threading.Timer(limit_s, end)
    timer.daemon = True
    timer.start()


@contextmanager
def ended_by_bugs(nursery: trio.Nursery) -> Iterator[None]:
    """Where the body is cancelled because a task of `nursery` failed: say so at once, and see to it that this is the end."""
    try:
        yield
    except trio.Cancelled:
        if known := pending_errors(nursery):
            log.critical("a part of the daemon has failed, it ends: %s", "; ".join(map(repr, known)))
            end_within(STOP_LIMIT_S, lambda: pending_errors(nursery) or known)
        raise


def pending_errors(nursery: trio.Nursery) -> list[BaseException]:
    """What tasks below `nursery` have died of; trio itself tells once the last of their fellows has ended."""
    errors = [error for error in getattr(nursery, "_pending_excs", ()) if not isinstance(error, trio.Cancelled)]
    for task in tuple(nursery.child_tasks):
        for below in task.child_nurseries:
            errors += pending_errors(below)
    return errors
