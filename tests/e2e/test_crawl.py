"""A crawl of a real manual on loopback: every image once, its pages known, robots.txt obeyed, killed on the way.

What should be found is worked out here without the crawler: regular expressions over the pages that the server was asked
for, and Pillow over the files. By default a part of the manual; PINAKOTHEK_CRAWL_PAGES=1000 is all of it.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.swarms import assert_doctor_is_content
from tests.pages import WebSite, pages_available, pages_folder, serving

MAX_PAGES = int(os.environ.get("PINAKOTHEK_CRAWL_PAGES", "60"))
MIN_PX = 64
PRIVATE = ("images/filters/", "gimp-using-")
ROBOTS = "User-agent: *\n" + "".join(f"Disallow: /{path}\n" for path in PRIVATE)
FLOW = "manual"
TIMEOUT_S = 900.0
WORDS = ("--flow", FLOW, "--depth", "3", "--max-pages", str(MAX_PAGES), "--same-host")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3 * TIMEOUT_S),
    pytest.mark.skipif(not pages_available(), reason="no pages: run scripts/get-pages"),
]


@pytest.fixture(scope="module")
def site() -> Iterator[WebSite]:
    with serving(pages_folder() / "en", ROBOTS) as running:
        yield running


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    allowed = {"PINAKOTHEK_FETCH_ALLOW_CIDRS": "127.0.0.1/32"}
    with swarm(tmp_path_factory.mktemp("crawl"), ("solo",), env=allowed) as [running]:
        yield running


def pages_asked(site: WebSite) -> Counter[str]:
    """HTML pages that exist and were asked for, and how often."""
    asked = (path.lstrip("/") for path in site.asked if path.endswith(".html"))
    return Counter(path for path in asked if (pages_folder() / "en" / path).exists())


def shown_on(site: WebSite) -> dict[bytes, set[str]]:
    """Bytes of each image that is to be stored → the pages that were read and show it."""
    folder, found = pages_folder() / "en", defaultdict(set)
    for page in pages_asked(site):
        text = (folder / page).read_text(errors="replace")
        named = re.findall(r'<img\b[^>]*?\bsrc="([^"#?]+)', text)
        named += re.findall(r'<a\b[^>]*?\bhref="([^"#?:]+\.(?:png|jpg))"', text)
        for name in named:
            path = folder / name
            if not name.startswith(PRIVATE) and "://" not in name and path.exists() and large_enough(path):
                found[path.read_bytes()].add(page)
    return dict(found)


def large_enough(path: Path) -> bool:
    with Image.open(path) as image:
        return min(image.size) >= MIN_PX


def job_once_done(peer: Peer, job: int) -> dict[str, Any]:
    """The row of a job, once it is done."""

    def done() -> dict[str, Any] | None:
        row = peer.one("jobs", "show", str(job))
        assert row["state"] != "failed", row["error"]
        return row if row["state"] == "done" else None

    return wait_until(done, timeout_s=TIMEOUT_S, what=f"job {job} is done", every_s=1.0)


def test_a_crawl_that_is_killed_finds_every_image_once(peer: Peer, site: WebSite) -> None:
    job = peer.one("crawl", f"{site.url}/index.html", *WORDS, "--no-wait")["job"]
    wait_until(
        lambda: sum(pages_asked(site).values()) > MAX_PAGES // 3,
        timeout_s=TIMEOUT_S,
        what="a third of the pages is read",
    )
    peer.kill()
    before = pages_asked(site)
    peer.start()
    result = job_once_done(peer, job)["result"]
    asked = pages_asked(site)
    assert sum(asked.values()) - len(asked) <= 1, "only the page that was on its way is asked for again"
    assert before.total() < asked.total()
    assert result["pages"] == len(asked)
    assert result["failed"] == 0
    wanted = shown_on(site)
    rows = peer.rows("ls", "--flow", FLOW)
    stored = Counter((pages_folder() / "en" / row["name"].removeprefix("127.0.0.1/")).read_bytes() for row in rows)
    assert set(stored) == set(wanted)
    assert set(stored.values()) == {1}
    assert len(wanted) > MAX_PAGES / 10, "there was something to find"
    assert_doctor_is_content(peer)


def test_disallowed_paths_are_untouched(site: WebSite) -> None:
    assert not [path for path in site.asked if path.lstrip("/").startswith(PRIVATE)]
    texts = [(pages_folder() / "en" / page).read_text(errors="replace") for page in pages_asked(site)]
    assert any(f'"{private}' in text for text in texts for private in PRIVATE), "the pages lead there"
    assert site.asked.count("/robots.txt") == 2, "once for each of the two daemons"


def test_the_pages_of_an_image_are_known(peer: Peer, site: WebSite) -> None:
    wanted = shown_on(site)
    rows = {
        (pages_folder() / "en" / row["name"].removeprefix("127.0.0.1/")).read_bytes(): row["root"]
        for row in peer.rows("ls", "--flow", FLOW)
    }
    most_shown = sorted(wanted, key=lambda content: (len(wanted[content]), content), reverse=True)
    for content in (*most_shown[:3], *most_shown[-2:]):
        shown = peer.rows("show", rows[content], "--pages")
        assert {row["page"].removeprefix(f"{site.url}/") for row in shown} == wanted[content]
        assert {row["flow"] for row in shown} == {FLOW}
    assert peer.one("show", rows[most_shown[0]])["origin"].startswith(site.url)


def test_a_second_crawl_stores_nothing(peer: Peer, site: WebSite) -> None:
    before = peer.rows("ls", "--flow", FLOW)
    used_bytes = peer.one("status")["store"]["used_bytes"]
    result = peer.one("crawl", f"{site.url}/index.html", *WORDS, timeout_s=TIMEOUT_S)
    assert result["stored"] == 0
    assert result["known"] >= len(before)
    assert peer.rows("ls", "--flow", FLOW) == before
    assert peer.one("status")["store"]["used_bytes"] == used_bytes


def test_a_dry_run_lists_and_fetches_no_image(peer: Peer, site: WebSite) -> None:
    site.asked.clear()
    done = peer.run("crawl", f"{site.url}/index.html", "--depth", "0", "--same-host", "--dry-run")
    assert done.returncode == 0
    assert set(site.asked) == {"/robots.txt", "/index.html"}
    text = (pages_folder() / "en/index.html").read_text(errors="replace")
    wanted = {f"{site.url}/{name}" for name in re.findall(r'<img\b[^>]*?\bsrc="([^"]+)"', text)}
    assert wanted
    assert set(done.stdout.splitlines()) == wanted


def test_what_may_not_be_crawled_says_why(peer: Peer, site: WebSite) -> None:
    for url, code, reason in (
        ("http://10.0.0.1/", 5, "10.0.0.1: not fetched from: a private network"),
        ("file:///etc/passwd", 5, "only http and https are fetched, not file"),
        (f"{site.url}/gimp-using-text.html", 5, "disallowed by robots.txt"),
        (f"{site.url}/no-such-page.html", 1, "the server answered 404"),
        (f"{site.url}/images/note.png", 1, "not a page of HTML"),
    ):
        done = peer.run("crawl", url)
        assert (done.returncode, reason in done.stderr) == (code, True), done.stderr
        assert len(done.stderr.splitlines()) == 1
