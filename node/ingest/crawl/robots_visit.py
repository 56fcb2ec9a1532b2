"""Fetch an origin's robots.txt, and decide what to do where there is none or no answer (RFC 9309, 2.3.1)."""

import itertools
from pathlib import Path
from typing import Final, NamedTuple

import trio

from node.ingest.crawl.pace import retry_in_s
from node.ingest.crawl.robots import MAX_ROBOTS_BYTES, Robots
from node.ingest.not_fetched import Answered, Empty, Forbidden, NotFetched, Redirected
from node.ingest.strangers import FetchLimits, Strangers

LIMITS: Final = FetchLimits(max_bytes=MAX_ROBOTS_BYTES, total_s=60.0)


class Rules(NamedTuple):
    """What an origin lets us do, and what becomes of the rest: `state`, and `why`."""

    robots: Robots
    state: str = "disallowed"
    why: str = "disallowed by robots.txt"


async def rules_of(origin: str, strangers: Strangers, into: Path) -> Rules:
    """Ask an origin for its rules, more than once where it does not answer; `into` is for the file meanwhile."""
    for tries in itertools.count(1):
        try:
            await strangers.fetch(f"{origin}/robots.txt", into, LIMITS, kind=lambda _: "text/plain")
            return Rules(await trio.to_thread.run_sync(_read, into))  # half a megabyte takes a while
        except NotFetched as error:
            if error.transient and (wait_s := retry_in_s(tries)) is not None:
                await trio.sleep(max(wait_s, min(error.retry_after_s or 0.0, 60.0)))
                continue
            return _without(error)
    raise AssertionError("counting ends")


def _without(error: NotFetched) -> Rules:
    if isinstance(error, Empty | Redirected | Forbidden):
        return Rules(Robots.everything())  # Forbidden: what it forbids of the rest says so itself
    if isinstance(error, Answered) and 400 <= error.status < 500 and not error.transient:
        return Rules(Robots.everything())
    return Rules(Robots.nothing(), "failed", f"robots.txt: {error.message}")


def _read(path: Path) -> Robots:
    text = path.read_bytes().decode("utf-8-sig", "replace")
    path.unlink()
    return Robots.parse(text)
