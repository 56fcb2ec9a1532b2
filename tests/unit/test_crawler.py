"""Whole crawls of a scripted site on loopback: what is asked for, what is not, and what a second run still does."""

import os
from collections import Counter
from pathlib import Path

import pytest
import trio

from node.errors import RefusedByPolicy
from node.ingest.crawl import crawler
from node.ingest.crawl.images import ToTake
from node.ingest.crawl.job import summary
from node.ingest.crawl.reader import Reader
from node.jobs.errors import Trouble
from store.errors import StoreFull
from tests.crawled import a, img, page, png, site_at
from tests.scripted_web import answer, redirect


async def test_pages_are_read_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_bytes(b'<html><a href="b">b</a><img src="c.png">')
    async with Reader() as reader:
        page = await reader.read(path, "http://example.com/a/")
    assert page == (("http://example.com/a/b",), ("http://example.com/a/c.png",))


async def test_a_crawl_finds_every_image_once(tmp_path: Path) -> None:
    async with site_at(tmp_path) as site:
        site.answers |= {
            "/": page(a("/b", "c/"), img("1.png", "logo.png")),
            "/b": page(a("/"), img("2.png", "logo.png")),
            "/c/": page(a("../b"), img("../1.png", "same.png")),
            "/1.png": answer(png(1)),
            "/2.png": answer(png(2)),
            "/logo.png": answer(png(3)),
            "/c/same.png": answer(png(2)),
        }
        counts = await site.crawl()
        assert site.taking.contents == [png(1), png(2), png(3)]
        assert Counter(site.web.asked) == Counter([*site.answers, "/robots.txt"])
        assert (counts["pages"], counts["images"], counts["stored"], counts["known"]) == (3, 4, 3, 1)
        port = site.web.port
        pages = {
            (image.rpartition(f"{port}/")[2], shown.rpartition(f"{port}/")[2])
            for _, image, shown in site.frontier.pages_of(png(2), 9)
        }
        assert pages == {("2.png", "b"), ("c/same.png", "c/")}
        assert len(site.frontier.pages_of(png(3), 9)) == 2
        assert {name for _, name, _ in site.taking.taken} <= {
            f"site.test/{name}" for name in ("1.png", "2.png", "logo.png", "c/same.png")
        }
        assert not [entry for entry in os.listdir(tmp_path) if entry.startswith("fetched")]


async def test_the_same_bytes_by_two_urls_at_once_are_taken_once(tmp_path: Path) -> None:
    async with site_at(tmp_path) as site:
        asked = trio.Event()

        async def again(stream: trio.SocketStream) -> None:
            asked.set()
            await stream.send_all(answer(png(1)))

        site.answers |= {"/": page(img("1.png", "2.png")), "/1.png": answer(png(1)), "/2.png": again}
        take = site.taking.take

        async def slowly(image: ToTake) -> bytes:
            await asked.wait()
            await trio.sleep(0.1)  # long enough for the other to be looked up, were it not made to wait
            return await take(image)

        site.taking.take = slowly  # type: ignore[method-assign]
        counts = await site.crawl()
        assert (counts["stored"], counts["known"]) == (1, 1)
        assert site.taking.contents == [png(1)]


async def test_robots_txt_is_obeyed_for_pages_images_and_redirects(tmp_path: Path) -> None:
    async with site_at(tmp_path) as site:
        site.answers |= {
            "/robots.txt": answer(b"User-agent: *\nDisallow: /private\nDisallow: /*.gif$"),
            "/": page(a("/private/", "/moved"), img("1.png", "2.gif", "/private/3.png", "/moved.png")),
            "/moved": redirect("/private/page"),
            "/moved.png": redirect("/private/4.png"),
            "/1.png": answer(png(1)),
        }
        counts = await site.crawl()
        assert sorted(site.asked()) == ["/", "/1.png", "/moved", "/moved.png"]
        assert (counts["stored"], counts["disallowed"]) == (1, 5)


@pytest.mark.parametrize(
    ("robots", "asked"),
    [
        (answer(b"", status="500 Broken"), []),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nUser", []),
        (answer(b"", status="403 Forbidden"), ["/"]),
        (answer(b""), ["/"]),
        (redirect("/robots.txt"), ["/"]),
    ],
)
async def test_an_origin_that_does_not_say_what_is_allowed_is_left_alone(
    robots: bytes, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.ingest.crawl.robots_visit.retry_in_s", lambda tries: 0.0 if tries < 3 else None)
    async with site_at(tmp_path) as site:
        site.answers |= {"/robots.txt": robots, "/": page("nothing")}
        counts = await site.crawl()
        assert site.asked() == asked
        assert (counts["pages"], counts["pages_refused"]) == ((1, 0) if asked else (0, 1))


async def test_the_rules_of_many_origins_take_no_more_room_than_those_of_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site_at(tmp_path) as site:
        text = b"User-agent: *\nDisallow: /1.png\n" + b"# long" * 1000
        monkeypatch.setattr(crawler, "RULES_CHARS", 3 * len(text))
        pictures = [f"http://h{n}.test:{site.web.port}/{n % 2}.png" for n in range(20)]
        site.answers |= {"/": page(img(*pictures)), "/robots.txt": answer(text), "/0.png": answer(png(0))}
        crawl = site.crawler()
        counts = summary(await crawl.run())
        assert (counts["stored"] + counts["known"], counts["disallowed"]) == (10, 10)
        assert 1 <= len(crawl._rules) <= 3
        assert crawl._rules_chars == sum(rules.robots.kept_chars for rules in crawl._rules.values())


async def test_depth_hosts_and_pages_are_bounded(tmp_path: Path) -> None:
    async with site_at(tmp_path) as site:
        elsewhere = f"http://other.test:{site.web.port}"
        site.answers |= {
            "/": page(a("/1", f"{elsewhere}/page"), img(f"{elsewhere}/x.png")),
            "/1": page(a("/2"), img("1.png")),
            "/2": page(a("/3"), img("2.png")),
            **{f"/{name}": answer(png(number)) for number, name in enumerate(("x.png", "1.png", "2.png"))},
        }
        counts = await site.crawl(b"depth", depth=1)
        assert sorted(site.asked()) == ["/", "/1", "/1.png", "/x.png"]
        assert counts["pages"] == 2
        site.web.asked.clear()
        counts = await site.crawl(b"pages", max_pages=1, same_host=True)
        assert site.asked() == ["/"]
        assert (counts["pages"], counts["pages_left"], counts["images"]) == (1, 1, 0)


async def test_a_crawl_that_was_cut_off_asks_no_page_again(tmp_path: Path) -> None:
    async with site_at(tmp_path) as site:
        site.answers |= {"/": page(a(*(f"/{n}" for n in range(20))))}
        site.answers |= {f"/{n}": page(img(f"{n}.png")) for n in range(20)}
        site.answers |= {f"/{n}.png": answer(png(n)) for n in range(20)}

        async def hang(stream: trio.SocketStream) -> None:
            cut.set()
            await trio.sleep_forever()

        cut = trio.Event()
        site.answers["/7"] = hang
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.crawler().run)
            await cut.wait()
            nursery.cancel_scope.cancel()
        before = [target for target in site.asked() if not target.endswith(".png")]
        site.answers["/7"] = page(img("7.png"))
        site.web.asked.clear()
        counts = await site.crawl()
        after = [target for target in site.asked() if not target.endswith(".png")]
        assert set(before) & set(after) == {"/7"}
        assert len(before) + len(after) == 22
        assert set(site.taking.contents) == {png(n) for n in range(20)}
        assert (counts["pages"], counts["stored"] + counts["known"]) == (21, 20)


async def test_a_second_crawl_takes_nothing(tmp_path: Path) -> None:
    async with site_at(tmp_path) as site:
        site.taking.small.add(png(3))
        site.answers |= {
            "/": page(img("1.png", "2.png", "small.png")),
            "/1.png": answer(png(1), 'ETag: "one"'),
            "/2.png": answer(png(2)),
            "/small.png": answer(png(3)),
        }
        await site.crawl(b"first")
        site.answers["/1.png"] = b"HTTP/1.1 304 Not Modified\r\n\r\n"
        counts = await site.crawl(b"second")
        assert (counts["stored"], counts["known"], counts["small"]) == (0, 2, 1)
        assert len(site.taking.taken) == 2
        site.answers["/1.png"] = answer(png(9), 'ETag: "two"')  # changed
        site.taking.purged.add(png(2))
        counts = await site.crawl(b"third")
        assert (counts["stored"], counts["known"]) == (2, 0)
        assert site.taking.contents == [png(1), png(2), png(2), png(9)]


async def test_an_address_that_grows_too_long_costs_itself_alone(tmp_path: Path) -> None:
    long = "写" * 300  # 300 characters on the page, 2,700 as they are sent
    async with site_at(tmp_path) as site:
        site.answers |= {
            "/": page(a(f"/{long}", "/moved"), img(f"/{long}.png", "1.png")),
            "/1.png": answer(png(1)),
            "/moved": redirect(f"/{long}"),
        }
        counts = await site.crawl()
        assert (counts["pages"], counts["pages_refused"], counts["stored"]) == (1, 1, 1)


async def test_what_was_too_small_is_taken_by_a_crawl_that_asks_for_less(tmp_path: Path) -> None:
    async def unless_known(stream: trio.SocketStream) -> None:
        known = b"if-none-match" in site.web.requests[-1].lower()
        await stream.send_all(b"HTTP/1.1 304 Not Modified\r\n\r\n" if known else answer(png(1), 'ETag: "one"'))

    async with site_at(tmp_path) as site:
        site.answers |= {"/": page(img("1.png")), "/1.png": unless_known}
        site.taking.small.add(png(1))
        assert (await site.crawl(b"first"))["small"] == 1
        site.taking.small.clear()
        assert (await site.crawl(b"second"))["stored"] == 1
        assert (await site.crawl(b"third"))["known"] == 1
        assert site.taking.contents == [png(1)]


async def test_what_cannot_be_had_has_its_reason(tmp_path: Path) -> None:
    async with site_at(tmp_path) as site:
        site.taking.broken[png(2)] = ValueError()
        site.answers |= {
            "/": page(a("/text", "/gone"), img("1.png", "2.png", "text.png", "gone.png", "busy.png", "/loop.png")),
            "/text": answer(b"plain text"),
            "/1.png": answer(png(1)),
            "/2.png": answer(png(2)),
            "/text.png": answer(b"plain text"),
            "/busy.png": answer(b"", status="503 Busy"),
            "/loop.png": redirect("/loop.png"),
        }
        counts = await site.crawl()
        assert (counts["pages"], counts["pages_refused"]) == (1, 2)
        assert (counts["stored"], counts["refused"], counts["failed"]) == (1, 3, 1)
        assert Counter(site.web.asked)["/busy.png"] == 4
        listed = {url.rpartition("/")[2]: reason for url, _, reason in site.frontier.listed(b"1", "image", 99)}  # type: ignore[arg-type]
        assert listed["text.png"] == "not an image: text"
        assert listed["busy.png"] == "the server answered 503"
        assert listed["2.png"] == "broken"


async def test_a_dry_run_fetches_no_image(tmp_path: Path) -> None:
    async with site_at(tmp_path) as site:
        site.answers |= {"/": page(a("/b"), img("1.png")), "/b": page(img("1.png", "2.png"))}
        counts = await site.crawl(dry_run=True)
        assert site.asked() == ["/", "/b"]
        assert (counts["images"], counts["stored"]) == (2, 0)


async def test_a_store_in_trouble_ends_the_run_and_nothing_is_refused(tmp_path: Path) -> None:
    async with site_at(tmp_path) as site:
        site.taking.broken[png(1)] = StoreFull(1, 0)
        site.answers |= {"/": page(img("1.png")), "/1.png": answer(png(1))}
        with pytest.RaisesGroup(Trouble):
            await site.crawl()
        del site.taking.broken[png(1)]
        counts = await site.crawl()
        assert (counts["stored"], counts["refused"]) == (1, 0)
        assert Counter(site.web.asked)["/"] == 1


async def test_whoever_may_add_no_more_ends_the_crawl(tmp_path: Path) -> None:
    async with site_at(tmp_path) as site:
        site.taking.forbidden = True
        site.answers |= {"/": page(img("1.png")), "/1.png": answer(png(1))}
        with pytest.RaisesGroup(RefusedByPolicy):
            await site.crawl()
