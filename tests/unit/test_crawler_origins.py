"""Crawls of pages that name many hosts."""

from pathlib import Path
from typing import Any

import pytest
import trio

from node.ingest.crawl import crawler
from node.ingest.crawl.crawler import Crawler
from node.ingest.crawl.job import summary
from tests.crawled import a, img, page, png, site_at
from tests.scripted_web import answer


async def test_so_many_origins_are_looked_after_at_a_time_and_all_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may name thousands of hosts: each was a task, and robots.txt of the first eight kept them all waiting."""
    monkeypatch.setattr(crawler, "LOOKED_AFTER", 4)
    active: list[int] = []
    visit = Crawler._visit

    async def noting(self: Crawler, *given: Any) -> float:
        active.append(len(self._active))
        return await visit(self, *given)

    monkeypatch.setattr(Crawler, "_visit", noting)
    async with site_at(tmp_path) as site:
        urls = [f"http://h{n}.test:{site.web.port}/{n}.png" for n in range(30)]
        site.answers |= {"/": page(img(*urls), a("/b")), "/b": page(img("/last.png")), "/last.png": answer(png(99))}
        site.answers |= {f"/{n}.png": answer(png(n)) for n in range(30)}
        result = await site.crawl()
    assert result["stored"] == 31
    assert max(active) == 4


async def test_pages_that_are_not_asked_for_keep_no_crawl_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawler, "LOOKED_AFTER", 2)
    async with site_at(tmp_path) as site:
        hosts = frozenset(f"h{n}.test:{site.web.port}" for n in range(9))
        site.answers |= {"/": page(a(*(f"http://{host}/" for host in hosts)), img("/1.png")), "/1.png": answer(png(1))}
        crawl = site.crawler(max_pages=1)
        object.__setattr__(crawl._plan.scope, "hosts", hosts | crawl._plan.scope.hosts)
        with trio.fail_after(60):
            result = summary(await crawl.run())
    assert (result["pages"], result["pages_left"], result["stored"]) == (1, 9, 1)
