"""Do one crawl: visit what the frontier says, one request at a time for each origin, and write down what came of it.

What a visit finds is durable before it counts as visited: a crawl that is killed goes on where it was, and asks again
only for what was on its way.
"""

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import trio

from node.ingest.body import page_type
from node.ingest.crawl.frontier import Found, Frontier, Visit
from node.ingest.crawl.images import ImageVisits
from node.ingest.crawl.pace import Pace, retry_in_s
from node.ingest.crawl.page import Page
from node.ingest.crawl.robots_visit import Rules, rules_of
from node.ingest.crawl.scope import Kind, Scope
from node.ingest.not_fetched import Forbidden, NotFetched, Redirected
from node.ingest.strangers import Fetched, FetchLimits, Strangers
from node.ingest.web_address import WebAddress

ORIGINS_AT_ONCE: Final = 8
"""Origins that are asked at the same time. Guess."""
LOOKED_AFTER: Final = 256
"""Origins that have a task of their own; the others wait in the frontier: a page may name thousands, a crawl a million."""
TAKEN_AT_ONCE: Final = 4
"""Images that are decoded and stored while the next ones are fetched: enough to keep two decoders busy."""
RULES_CHARS: Final = 4 << 20
"""Of the robots.txt that are kept; read they take some sixteen times that."""
LONGEST_WAIT_S: Final = 300.0
"""For a server that says `Retry-After`. Guess."""
PAGE_LIMITS: Final = FetchLimits(max_bytes=8 << 20, total_s=60.0, redirects=0)

ReadPage = Callable[[Path, str], Awaitable[Page]]
"""Read the page in a file that came from a URL. Raises: NotFetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one crawl is to do.

    Attributes:
        id: of this crawl in the frontier.
        delay_s: the least pause between two requests to an origin.
        dry_run: images are listed, not fetched.
    """

    id: bytes
    starts: tuple[WebAddress, ...]
    flow: str
    scope: Scope
    delay_s: float = 0.0
    dry_run: bool = False


class Crawler:
    """One run of one crawl.

    Args:
        read: reads pages: `reader.Reader.read`.
        folder: for files on their way.
        images: visits images, and takes them in.
        tell: called after each visit.
        now_ms: the wall clock, for what is tried again after a restart.
    """

    def __init__(
        self,
        plan: Plan,
        frontier: Frontier,
        strangers: Strangers,
        read: ReadPage,
        images: ImageVisits,
        folder: Path,
        *,
        tell: Callable[[Counter[tuple[str, str]]], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._plan = plan
        self._frontier = frontier
        self._strangers = strangers
        self._read = read
        self._images = images
        self._folder = folder
        self._tell = tell
        self._now_ms = now_ms
        self._names = itertools.count()
        self._rules: dict[str, Rules] = {}
        self._rules_chars = 0
        self._active: set[str] = set()
        self._stirred: set[str] = set()
        self._more = False
        self._refilling = False
        self._asking = trio.CapacityLimiter(ORIGINS_AT_ONCE)
        self._taking = trio.CapacityLimiter(TAKEN_AT_ONCE)
        self._pages_begun = 0
        self._in_hand: set[int] = set()
        self._nursery: trio.Nursery
        self.counts: Counter[tuple[str, str]] = Counter()

    async def run(self) -> Counter[tuple[str, str]]:
        """Crawl until nothing waits; what became of how many: (kind, state) → count.

        Raises:
            Trouble: the store is in no state to take images.
            StoreError: the disk refuses.
        """
        plan = self._plan
        starts = [Found(Kind.PAGE, each, 0) for each in plan.starts]
        await trio.to_thread.run_sync(self._frontier.begin, plan.id, starts, self._now_ms())
        self.counts = Counter(await trio.to_thread.run_sync(self._frontier.counts, plan.id))
        self._pages_begun = sum(
            count for (kind, state), count in self.counts.items()
            if kind == Kind.PAGE and state not in ("waiting", "disallowed", "moved")
        )  # fmt: skip
        async with trio.open_nursery() as self._nursery:
            self._more = True
            await self._refill()
        self.counts = Counter(await trio.to_thread.run_sync(self._frontier.counts, plan.id))
        return self.counts

    def _stir(self, origin: str) -> None:
        """Have somebody look after an origin that may have something waiting."""
        if origin in self._active:
            self._stirred.add(origin)
        elif len(self._active) >= LOOKED_AFTER:
            self._more = True
        else:
            self._active.add(origin)
            self._nursery.start_soon(self._visit_origin, origin)

    async def _refill(self) -> None:
        """Have somebody look after origins that had to wait for a place, once half of the places are free."""
        if self._refilling:
            return
        self._refilling = True
        try:
            while self._more and len(self._active) <= LOOKED_AFTER // 2:
                self._more = False
                most = LOOKED_AFTER - len(self._active)
                ask = partial(
                    self._frontier.origins, self._plan.id, most, pages=self._may_ask_pages,
                    in_hand=tuple(self._in_hand), but=tuple(self._active),
                )  # fmt: skip
                found = await trio.to_thread.run_sync(ask)
                self._more |= len(found) == most
                for origin in found:
                    self._stir(origin)
        finally:
            self._refilling = False

    async def _visit_origin(self, origin: str) -> None:
        """Visit all that waits of an origin, one after the other."""
        next_s = trio.current_time()
        while True:
            self._stirred.discard(origin)
            visit = await self._next(origin)
            if visit is None:
                if origin in self._stirred:
                    continue
                self._active.discard(origin)
                await self._refill()
                return
            await trio.sleep_until(next_s)
            async with self._asking:
                next_s = await self._visit(origin, visit)
            self._tell(self.counts)

    async def _next(self, origin: str) -> Visit | None:
        """What to visit next; waits where something is to be tried again later."""
        plan = self._plan
        while True:
            ask = partial(
                self._frontier.next, plan.id, origin, self._now_ms(), pages=self._may_ask_pages,
                in_hand=tuple(self._in_hand),
            )  # fmt: skip
            found = await trio.to_thread.run_sync(ask)
            if not isinstance(found, int):
                return found
            await trio.sleep(max(0.01, (found - self._now_ms()) / 1000))

    @property
    def _may_ask_pages(self) -> bool:
        return self._pages_begun < self._plan.scope.max_pages

    async def _visit(self, origin: str, visit: Visit) -> float:
        """Make one visit; when the origin may be asked again."""
        rules = await self._rules_of(origin)
        allowed = await trio.to_thread.run_sync(rules.robots.allow, str(visit.address))
        now_s = trio.current_time()
        if not allowed:
            await self._end(visit, rules.state, rules.why)
            return now_s
        pace = Pace(delay_s=max(rules.robots.delay_s, self._plan.delay_s))
        if visit.kind is Kind.IMAGE and self._plan.dry_run:
            await self._end(visit, "listed", None)
            return now_s
        retry_after_s = None
        try:
            if visit.kind is Kind.PAGE:
                self._pages_begun += not visit.tries
                await self._visit_page(visit)
            else:
                await self._visit_image(visit)
        except Redirected as error:
            await self._follow(visit, error.to)
        except NotFetched as error:
            retry_after_s = error.retry_after_s
            await self._not_fetched(visit, error)
        return pace.next_s(now_s, trio.current_time(), retry_after_s)

    async def _rules_of(self, origin: str) -> Rules:
        """An origin's rules. Of many origins those asked for last are kept: a page may name thousands, each with its own."""
        rules = self._rules.pop(origin, None)
        if rules is None:
            rules = await rules_of(origin, self._strangers, self._file())
            self._rules_chars += rules.robots.kept_chars
        self._rules[origin] = rules
        while self._rules_chars > RULES_CHARS and len(self._rules) > 1:
            self._rules_chars -= self._rules.pop(next(iter(self._rules))).robots.kept_chars
        return rules

    async def _visit_page(self, visit: Visit) -> None:
        path = self._file()
        await self._strangers.fetch(visit.address, path, PAGE_LIMITS, kind=page_type)
        try:
            page = await self._read(path, str(visit.address))
        finally:
            await trio.to_thread.run_sync(path.unlink)
        found = await trio.to_thread.run_sync(self._found, page, visit.depth)  # some take seconds to be read
        await trio.to_thread.run_sync(
            self._frontier.page_read, self._plan.id, visit, found, self._plan.flow, page.images
        )
        self.counts[Kind.PAGE, "done"] += 1
        for each in found:
            self._stir(each.address.origin)

    def _found(self, page: Page, depth: int) -> list[Found]:
        return [*self._within(Kind.IMAGE, page.images, depth), *self._within(Kind.PAGE, page.links, depth + 1)]

    def _within(self, kind: Kind, urls: Sequence[str], depth: int) -> list[Found]:
        addresses = [WebAddress.parse(url) for url in urls]
        why_not = self._plan.scope.why_not
        return [Found(kind, each, depth) for each in addresses if why_not(each, kind, depth=depth, hops=0) is None]

    async def _visit_image(self, visit: Visit) -> None:
        """Fetch an image; it is taken in while the next visits are under way."""
        path = self._file()
        fetched = await self._images.fetch(visit, path)
        if fetched is None:
            await self._end(visit, "known", None)
            return
        await self._taking.acquire_on_behalf_of(visit.seq)
        self._in_hand.add(visit.seq)
        self._nursery.start_soon(self._take_image, visit, fetched)

    async def _take_image(self, visit: Visit, fetched: Fetched) -> None:
        try:
            state = await self._images.take(visit, fetched)
        finally:
            self._taking.release_on_behalf_of(visit.seq)
            self._in_hand.discard(visit.seq)
        self.counts[visit.kind, state] += 1
        self._tell(self.counts)

    async def _follow(self, visit: Visit, to: str) -> None:
        """A redirect is a URL like any other: its robots.txt is asked, and it is visited once."""
        found = Found(visit.kind, WebAddress.parse(to), visit.depth, visit.hops + 1)
        why = self._plan.scope.why_not(found.address, found.kind, depth=found.depth, hops=found.hops)
        if why is not None:
            await self._end(visit, "forbidden", f"leads to {to}: {why}")
            return
        self._pages_begun -= visit.kind is Kind.PAGE
        await trio.to_thread.run_sync(self._frontier.redirected, self._plan.id, visit, found, self._plan.flow)
        self.counts[visit.kind, "moved"] += 1
        self._stir(found.address.origin)

    async def _not_fetched(self, visit: Visit, error: NotFetched) -> None:
        wait_s = retry_in_s(visit.tries + 1) if error.transient else None
        if wait_s is None:
            state = "forbidden" if isinstance(error, Forbidden) else "failed" if error.transient else "refused"
            await self._end(visit, state, error.message)
            return
        due_ms = self._now_ms() + int(1000 * max(wait_s, min(error.retry_after_s or 0.0, LONGEST_WAIT_S)))
        await trio.to_thread.run_sync(self._frontier.later, visit, due_ms, error.message)

    async def _end(self, visit: Visit, state: str, reason: str | None) -> None:
        await trio.to_thread.run_sync(self._frontier.ended, visit, state, reason)
        self.counts[visit.kind, state] += 1

    def _file(self) -> Path:
        return self._folder / f"fetched-{next(self._names)}"
