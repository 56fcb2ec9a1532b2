"""What a crawl knows is on the disk, each thing once, and found again by another process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.errors import Failed, RefusedByPolicy
from node.ingest.crawl.frontier import NAME, Found, Frontier, ImageKnown, Visit
from node.ingest.crawl.scope import Kind
from node.ingest.web_address import WebAddress

CRAWL = b"crawl-1"
ORIGIN = "http://x.example"


def at(path: str) -> WebAddress:
    return WebAddress.parse(ORIGIN + path)


@pytest.fixture
def frontier(tmp_path: Path) -> Iterator[Frontier]:
    opened = Frontier.opened(tmp_path)
    opened.begin(CRAWL, [Found(Kind.PAGE, at("/"), 0)], 0)
    yield opened
    opened.close()


def next_of(
    frontier: Frontier, *, pages: bool = True, now_ms: int = 0, in_hand: tuple[int, ...] = ()
) -> Visit | int | None:
    return frontier.next(CRAWL, ORIGIN, now_ms, pages=pages, in_hand=in_hand)


def visit(frontier: Frontier, **given: object) -> Visit:
    found = next_of(frontier, **given)  # type: ignore[arg-type]
    assert isinstance(found, Visit)
    return found


def read(frontier: Frontier, page: Visit, links: list[str], images: list[str]) -> None:
    found = [
        *(Found(Kind.IMAGE, at(path), page.depth) for path in images),
        *(Found(Kind.PAGE, at(path), page.depth + 1) for path in links),
    ]
    frontier.page_read(CRAWL, page, found, "f", [str(at(path)) for path in images])


def test_what_was_found_is_visited_in_order_and_once(frontier: Frontier) -> None:
    read(frontier, visit(frontier), ["/b", "/c", "/"], ["/1.png", "/2.png", "/1.png"])
    seen = []
    while found := next_of(frontier):
        assert isinstance(found, Visit)
        seen.append(found.address.target)
        frontier.ended(found, "done", None)
    assert seen == ["/1.png", "/2.png", "/b", "/c"]
    assert frontier.counts(CRAWL) == {("page", "done"): 3, ("image", "done"): 2}


def test_another_process_goes_on_where_this_one_was(frontier: Frontier, tmp_path: Path) -> None:
    read(frontier, visit(frontier), ["/b"], [])
    again = Frontier.opened(tmp_path)
    again.begin(CRAWL, [Found(Kind.PAGE, at("/"), 0)], 5)
    assert visit(again).address == at("/b")
    assert again.origins(CRAWL, 9, pages=True) == [ORIGIN]
    assert again.origins(CRAWL, 9, pages=False) == []
    assert again.origins(CRAWL, 9, pages=True, but=[ORIGIN]) == []
    again.close()


def test_what_is_in_hand_is_not_visited_twice(frontier: Frontier) -> None:
    first = visit(frontier)
    assert next_of(frontier, in_hand=(first.seq,)) is None


def test_what_failed_waits_its_time(frontier: Frontier) -> None:
    frontier.later(visit(frontier), 2_000, "the server answered 503")
    assert next_of(frontier, now_ms=1_999) == 2_000
    assert visit(frontier, now_ms=2_000).tries == 1


def test_enough_pages_leave_the_images(frontier: Frontier) -> None:
    read(frontier, visit(frontier), ["/b"], ["/1.png"])
    found = visit(frontier, pages=False)
    assert found.kind is Kind.IMAGE
    frontier.ended(found, "done", None)
    assert next_of(frontier, pages=False) is None
    assert visit(frontier).kind is Kind.PAGE


def test_what_waits_and_is_found_nearer_is_nearer(frontier: Frontier) -> None:
    first = visit(frontier)
    frontier.page_read(CRAWL, first, [Found(Kind.PAGE, at("/b"), 3)], "f", [])
    read(frontier, first, ["/b"], [])
    assert visit(frontier).depth == 1


def test_all_pages_of_an_image_are_known_whatever_its_url(frontier: Frontier) -> None:
    read(frontier, visit(frontier), ["/b"], ["/1.png"])
    one = visit(frontier)
    frontier.image_done(one, "done", None, "f", ImageKnown(b"digest", b"root", '"v1"', None))
    read(frontier, visit(frontier), [], ["/1.png", "/2.png"])
    two = visit(frontier)
    frontier.redirected(CRAWL, two, Found(Kind.IMAGE, at("/3.png"), 1, 1), "f")
    three = visit(frontier)
    assert three.hops == 1
    frontier.image_done(three, "known", None, "f", ImageKnown(b"digest", b"root", None, None))
    assert frontier.pages_of(b"root", 10) == [
        ("f", str(at("/1.png")), str(at("/"))),
        ("f", str(at("/1.png")), str(at("/b"))),
        ("f", str(at("/3.png")), str(at("/b"))),
    ]
    assert frontier.image("f", str(at("/1.png"))) == ImageKnown(b"digest", b"root", '"v1"', None)
    assert frontier.image("other", str(at("/1.png"))) is None
    found = frontier.image_by_bytes("f", b"digest")
    assert found is not None
    assert found.root == b"root"


def test_the_end_of_a_crawl_keeps_what_it_learned(frontier: Frontier) -> None:
    read(frontier, visit(frontier), [], ["/1.png"])
    frontier.image_done(visit(frontier), "done", None, "f", ImageKnown(b"digest", b"root", None, None))
    frontier.forget(CRAWL)
    assert frontier.counts(CRAWL) == {}
    assert len(frontier.pages_of(b"root", 10)) == 1


def test_a_damaged_file_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"not a database, and longer than a header of one hundred bytes. " * 4)
    Frontier.opened(tmp_path).close()
    assert (tmp_path / f"{NAME}.damaged").exists()


def test_a_full_file_takes_nothing_new_and_lets_the_crawl_end(frontier: Frontier, tmp_path: Path) -> None:
    read(frontier, visit(frontier), [], ["/1.png"])
    frontier._max_bytes = 1
    image = visit(frontier)
    frontier.image_done(image, "done", None, "f", ImageKnown(b"digest", b"root", None, None))
    assert next_of(frontier) is None
    assert frontier.image("f", str(image.address)) is None
    frontier.begin(CRAWL, [], 1)
    with pytest.raises(RefusedByPolicy, match="is full"):
        frontier.begin(b"another", [Found(Kind.PAGE, at("/"), 0)], 1)


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    opened = Frontier.opened(tmp_path)
    opened._db.pragma("user_version", 99)
    opened.close()
    with pytest.raises(Failed, match="of version 99"):
        Frontier.opened(tmp_path)
