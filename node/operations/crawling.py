"""`crawl`: queue one, take in what it finds, and say which pages show an image."""

from dataclasses import replace

import msgspec
import trio

from node.ingest.crawl.images import ToTake
from node.ingest.crawl.job import KIND, Crawl
from node.ingest.crawl.request import CrawlRequest
from node.ingest.intake import Request
from node.ingest.strangers import Strangers
from node.ingest.web_address import WebAddress
from node.job_rows import JobRow, PageShown
from node.operations import policy
from node.operations.job_desk import MAX_NAME_CHARS, JobDesk
from node.parts import Parts
from store.cid import cid_text

PAGES_LISTED = 10_000
"""Of one image. Guess: a logo may be on every page of a site."""


class Crawling:
    """Crawls of this peer."""

    def __init__(self, parts: Parts, desk: JobDesk) -> None:
        self._parts = parts
        self._desk = desk
        strangers = Strangers(allowed=parts.settings.config.fetch_allowed)
        self._crawl = Crawl(parts.settings.config.data_dir, strangers, parts.jobs.workplace, self)
        parts.jobs.register(self._crawl)

    async def crawl(self, request: CrawlRequest) -> JobRow:
        """See `JobService`. What policy forbids is refused here, not by the job."""
        request.check()
        self.check(request)
        first, *more = request.urls
        name = f"{WebAddress.parse(first)}{f' and {len(more)} more' if more else ''}"
        job = await self._parts.jobs.submit(KIND, msgspec.to_builtins(request), name=name[:MAX_NAME_CHARS])
        return self._desk.row(job)

    async def pages(self, root: bytes) -> tuple[PageShown, ...]:
        """Every page that a crawl of this peer saw the image on."""
        frontier = await self._crawl.frontier()
        rows = await trio.to_thread.run_sync(frontier.pages_of, root, PAGES_LISTED)
        return tuple(PageShown(flow=flow, image=image, page=page) for flow, image, page in rows)

    # what the job needs

    def check(self, request: CrawlRequest) -> None:
        """See `TakesImages`."""
        policy.check_may_write(self._parts)
        policy.check_flow(self._parts, request.flow)

    async def take(self, request: CrawlRequest, image: ToTake) -> bytes:
        """See `TakesImages`."""
        limits = policy.flow_limits(self._parts, request.flow)
        taken = await self._parts.intake.take(
            Request(
                path=image.path,
                name=image.name,
                flow=request.flow,
                backend=policy.backend_of(self._parts, request.flow),
                origin=image.origin,
                limits=replace(limits, min_side_px=request.min_px),
            )
        )
        self._parts.events.tell("added", root=cid_text(taken.root), detail=f"{image.name} to {request.flow}")
        return taken.root

    def wants(self, flow: str, root: bytes) -> bool:
        """See `TakesImages`."""
        return any(pin.record.flow == flow for pin in self._parts.records.counting.live_pins(root))
