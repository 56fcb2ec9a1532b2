"""A crawl as a job: durable, resumable, told of as it goes."""

import secrets
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol

import msgspec
import trio

from node.errors import Failed, RefusedByPolicy
from node.events import wall_ms
from node.ingest.crawl.crawler import Crawler, Plan
from node.ingest.crawl.frontier import Frontier
from node.ingest.crawl.images import ImageVisits, ToTake
from node.ingest.crawl.reader import Reader
from node.ingest.crawl.request import CrawlRequest
from node.ingest.crawl.scope import Kind
from node.ingest.strangers import Strangers
from node.ingest.web_address import WebAddress
from node.jobs.handler import Run
from node.jobs.workplace import Workplace

KIND = "crawl"
AT_ONCE = 4
LISTED = 1_000
"""URLs that a dry run names in its result."""
PROBLEMS = 100
"""URLs whose failure a result tells."""


class TakesImages(Protocol):
    """Takes what a crawl finds into its flow."""

    def check(self, request: CrawlRequest) -> None:
        """Raises: RefusedByPolicy, Usage: nothing may be added."""

    async def take(self, request: CrawlRequest, image: ToTake) -> bytes:
        """Take one image in; its root. Raises: UserError."""

    def wants(self, flow: str, root: bytes) -> bool:
        """Whether a live pin of the flow wants a root."""


class Crawl:
    """Does jobs of the kind `crawl`.

    Args:
        data_dir: where `crawls.db` is; None: in memory.
        workplace: where files on their way are; a tenth of its quota is for `crawls.db`.
    """

    kind = KIND
    at_once = AT_ONCE
    steps: tuple[str, ...] = ("begun", "crawled")
    keeps_failed = True

    def __init__(self, data_dir: Path | None, strangers: Strangers, workplace: Workplace, taking: TakesImages) -> None:
        self._data_dir = data_dir
        self._strangers = strangers
        self._workplace = workplace
        self._taking = taking
        self._frontier: Frontier | None = None
        self._opening = trio.Lock()

    async def frontier(self) -> Frontier:
        """The file, opened when it is first needed: most peers never crawl."""
        async with self._opening:
            if self._frontier is None:
                self._frontier = await trio.to_thread.run_sync(
                    Frontier.opened, self._data_dir, self._workplace.quota_bytes // 10
                )
            return self._frontier

    async def run(self, run: Run) -> Mapping[str, Any]:
        """See `node.jobs.handler.Handler`."""
        before = run.result_of("crawled")
        frontier = await self.frontier()
        if before is None:
            before = await self._crawl(run, frontier)
            await run.step("crawled", before)
        await trio.to_thread.run_sync(frontier.forget, bytes.fromhex(run.result_of("begun")))
        return dict(before)

    async def _crawl(self, run: Run, frontier: Frontier) -> dict[str, Any]:
        request = msgspec.convert(run.request, CrawlRequest)
        self._taking.check(request)
        if run.result_of("begun") is None:
            await run.step("begun", secrets.token_hex(16))
        plan = Plan(
            id=bytes.fromhex(run.result_of("begun")), starts=tuple(map(WebAddress.parse, request.urls)),
            flow=request.flow, scope=request.scope(), delay_s=request.delay_s, dry_run=request.dry_run,
        )  # fmt: skip
        folder = await run.make_folder()
        await trio.to_thread.run_sync(_emptied, folder)  # of what an earlier run had on its way
        images = ImageVisits(
            request.flow, frontier, self._strangers, take=_taker(self._taking, request),
            wants=lambda root: self._taking.wants(request.flow, root), check=lambda: self._taking.check(request),
            workplace=self._workplace,
        )  # fmt: skip
        begun_s = time.monotonic()
        async with Reader() as reader:
            crawler = Crawler(
                plan, frontier, self._strangers, reader.read, images, folder,
                tell=lambda counts: run.progress(counts[Kind.PAGE, "done"], None, "pages"), now_ms=wall_ms,
            )  # fmt: skip
            counts = await crawler.run()
        result: dict[str, Any] = summary(counts)
        if not result["pages"] and not result["pages_left"]:
            await self._nothing(frontier, plan)
        problems = await trio.to_thread.run_sync(frontier.problems, plan.id, PROBLEMS)
        result["problems"] = [{"url": each.url, "reason": each.reason} for each in problems]
        result["seconds"] = round(time.monotonic() - begun_s, 1)
        listed = await trio.to_thread.run_sync(frontier.listed, plan.id, Kind.IMAGE, LISTED) if request.dry_run else []
        result["found"] = [visited.url for visited in listed if visited.state == "listed"]
        return result

    async def _nothing(self, frontier: Frontier, plan: Plan) -> NoReturn:
        """Not one page was read: say why. It is forgotten, so that a retry begins anew."""
        first = (await trio.to_thread.run_sync(frontier.listed, plan.id, Kind.PAGE, LISTED))[-1]
        await trio.to_thread.run_sync(frontier.forget, plan.id)
        error = RefusedByPolicy if first.state in ("disallowed", "forbidden") else Failed
        raise error(f"{first.url}: {first.reason}")


def summary(counts: Counter[tuple[str, str]]) -> dict[str, int]:
    """What `crawl` prints, of (kind, state) → count."""
    image, page = Kind.IMAGE, Kind.PAGE
    return {
        "pages": counts[page, "done"],
        "pages_refused": sum(counts[page, state] for state in ("refused", "forbidden", "failed")),
        "pages_left": counts[page, "waiting"],
        "images": sum(count for (kind, state), count in counts.items() if kind == image and state != "moved"),
        "stored": counts[image, "done"],
        "known": counts[image, "known"],
        "small": counts[image, "small"],
        "refused": counts[image, "refused"] + counts[image, "forbidden"],
        "failed": counts[image, "failed"],
        "disallowed": counts[image, "disallowed"] + counts[page, "disallowed"],
    }


def _taker(taking: TakesImages, request: CrawlRequest) -> Callable[[ToTake], Awaitable[bytes]]:
    async def take(image: ToTake) -> bytes:
        return await taking.take(request, image)

    return take


def _emptied(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
