"""A scripted site on loopback, and crawls of it.

Images are not decoded: what takes them in is a stand-in that counts. `tests/e2e/test_crawl.py` has the real one.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import trio

from node.errors import Failed, RefusedByPolicy
from node.ingest.crawl.crawler import Crawler, Plan
from node.ingest.crawl.frontier import Frontier
from node.ingest.crawl.images import ImageVisits, ToTake
from node.ingest.crawl.job import summary
from node.ingest.crawl.page import Page, read_page
from node.ingest.crawl.scope import Scope
from node.ingest.flow_limits import TooSmall
from node.ingest.public_address import Address
from node.ingest.strangers import Strangers
from node.ingest.web_address import WebAddress
from node.jobs.workplace import Workplace
from tests.scripted_web import ScriptedWeb, answer, served

HERE = "127.0.0.7"


def png(number: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"%d" % number


def page(*body: str) -> bytes:
    return answer(("<!DOCTYPE html>" + "".join(body)).encode())


def img(*paths: str) -> str:
    return "".join(f'<img src="{path}">' for path in paths)


def a(*paths: str) -> str:
    return "".join(f'<a href="{path}">x</a>' for path in paths)


class Taking:
    """Takes everything but what is said to be small or broken; a root is the bytes."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, str, str]] = []
        self.purged: set[bytes] = set()
        self.small: set[bytes] = set()
        self.broken: dict[bytes, Exception] = {}
        self.forbidden = False

    async def take(self, image: ToTake) -> bytes:
        content = image.path.read_bytes()
        if content in self.small:
            raise TooSmall("8 × 8, less than 64 px on a side")
        if content in self.broken:
            raise Failed("broken") from self.broken[content]
        self.taken.append((content, image.name, image.origin))
        await trio.lowlevel.checkpoint()
        return content

    def check(self) -> None:
        if self.forbidden:
            raise RefusedByPolicy("this peer is no curator")

    @property
    def contents(self) -> list[bytes]:
        return sorted(content for content, _, _ in self.taken)


async def read_here(path: Path, url: str) -> Page:
    """As `Reader.read`, without its process."""
    return read_page(await trio.Path(path).read_bytes(), url)


async def resolve(host: str) -> Sequence[Address]:
    return [ip_address(HERE)]


class Site:
    """A site, and crawls of it."""

    def __init__(self, web: ScriptedWeb, folder: Path) -> None:
        self.web = web
        self.answers = web.answers
        self.folder = folder
        self.taking = Taking()
        self.frontier = Frontier.opened(folder)
        self.workplace = Workplace(folder / "workspace", 1 << 30)
        self.start = f"http://site.test:{web.port}/"

    def crawler(self, crawl: bytes = b"1", **given: Any) -> Crawler:
        bounds: dict[str, Any] = {"depth": 5, "max_pages": 100, "same_host": False}
        hosts = frozenset({f"site.test:{self.web.port}"})
        scope = Scope(hosts=hosts, **{name: given.pop(name, value) for name, value in bounds.items()})
        starts = given.pop("starts", (self.start,))
        plan = Plan(id=crawl, starts=tuple(map(WebAddress.parse, starts)), flow="f", scope=scope, **given)
        strangers = Strangers(allowed=(ip_network(f"{HERE}/32"),), resolve=resolve)
        images = ImageVisits(
            "f", self.frontier, strangers, take=self.taking.take,
            wants=lambda root: root not in self.taking.purged, check=self.taking.check,
            workplace=self.workplace,
        )  # fmt: skip
        clock = 0

        def now_ms() -> int:
            nonlocal clock
            clock += 60_000  # a minute a look: nothing waits long for its next try
            return clock

        return Crawler(
            plan, self.frontier, strangers, read_here, images, self.folder, tell=lambda _: None, now_ms=now_ms
        )

    async def crawl(self, crawl: bytes = b"1", **given: Any) -> dict[str, int]:
        return summary(await self.crawler(crawl, **given).run())

    def asked(self) -> list[str]:
        return [target for target in self.web.asked if target != "/robots.txt"]


@asynccontextmanager
async def site_at(folder: Path) -> AsyncIterator[Site]:
    async with served(HERE) as web:
        site = Site(web, folder)
        yield site
        site.frontier.close()
