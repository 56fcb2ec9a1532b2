"""What a page links to and shows, and how far a crawl goes by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ingest.crawl.pace import TRIES, Pace, retry_in_s
from node.ingest.crawl.page import MAX_IMAGES, MAX_LINKS, candidates, read_page
from node.ingest.crawl.robots import MAX_DELAY_S, Robots
from node.ingest.crawl.scope import Kind, Scope
from node.ingest.web_address import WebAddress

AT = "http://example.com/a/page.html"


def images(html: str) -> list[str]:
    return [url.removeprefix("http://example.com") for url in read_page(html.encode(), AT).images]


def links(html: str) -> list[str]:
    return [url.removeprefix("http://example.com") for url in read_page(html.encode(), AT).links]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<img src="b.png">', ["/a/b.png"]),
        ('<IMG SRC="/b.png"><img src="/b.png#x">', ["/b.png"]),
        ('<img src="s.png" srcset="m.png 2x, l.png 3x">', ["/a/s.png", "/a/m.png", "/a/l.png"]),
        ('<picture><source srcset="b.avif, c.webp 2x"><img src="d.jpg"></picture>', ["/a/b.avif", "/a/c.webp", "/a/d.jpg"]),
        ('<img src="data:image/gif;base64,R0" data-src="b.png" data-srcset="c.png 1x">', ["/a/b.png", "/a/c.png"]),
        ('<img data-original="b.png"><img data-lazy-src="c.png">', ["/a/b.png", "/a/c.png"]),
        ('<meta property="og:image" content="/b.png"><meta name="twitter:image" content="/c.png">', ["/b.png", "/c.png"]),
        ('<link rel="image_src" href="/b.png"><video poster="c.png"></video>', ["/a/c.png", "/b.png"]),
        ('<input type="image" src="b.png"><svg><image href="c.png"/></svg>', ["/a/b.png", "/a/c.png"]),
        ('<base href="/else/"><img src="b.png">', ["/else/b.png"]),
        ('<a href="big.JPG?x=1"><img src="small.jpg"></a>', ["/a/small.jpg", "/a/big.JPG?x=1"]),
        ('<meta name="robots" content="noimageindex"><img src="b.png">', []),
        ('<style>p{background:url(b.png)}</style><script>"<img src=c.png>"</script>', []),
        ('<!-- <img src="b.png"> --><source src="c.mp4">', []),
        ('<img src="ftp://x/b.png"><img src="http://u:p@x/c.png"><img src=""><img>', []),
    ],
)  # fmt: skip
def test_the_images_of_a_page(html: str, found: list[str]) -> None:
    assert images(html) == found


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<a href="b.html#there">b</a><a href="b.html">again</a>', ["/a/b.html"]),
        ('<a href="..">up</a><map><area href="/c"></map>', ["/", "/c"]),
        ('<iframe src="d"></iframe><frameset><frame src="e"></frameset>', ["/a/d"]),
        ('<a href="mailto:x@y.z">m</a><a href="javascript:x()">j</a><a>none</a>', []),
        ('<a rel="external nofollow" href="b">b</a><a href="c">c</a>', ["/a/c"]),
        ('<meta name="robots" content="noindex, NOFOLLOW"><a href="b">b</a>', []),
        ('<meta name="robots" content="none"><a href="b">b</a>', []),
        ('<base href="http://other.example/"><a href="b">b</a>', ["http://other.example/b"]),
    ],
)
def test_the_links_of_a_page(html: str, found: list[str]) -> None:
    assert links(html) == found


def test_an_old_charset_is_read() -> None:
    html = '<meta charset="iso-8859-1"><img src="/ä.png">'.encode("latin-1")
    assert read_page(html, AT).images == ("http://example.com/%C3%A4.png",)
    assert read_page(html.replace(b"iso-8859-1", b"unicode_escape"), AT).images == ("http://example.com/%EF%BF%BD.png",)


def test_a_page_of_a_thousand_things_is_bounded() -> None:
    html = "".join(f'<a href="{n}">x</a><img src="{n}.png">' for n in range(MAX_LINKS + MAX_IMAGES)).encode()
    page = read_page(html, AT)
    assert (len(page.links), len(page.images)) == (MAX_LINKS, MAX_IMAGES)


@given(
    st.text(max_size=300)
    | st.from_regex(r"(<(a|img|base|source)( (href|src|srcset)=[^>]{0,20})*>){0,6}", fullmatch=True)
)
def test_any_text_is_a_page(html: str) -> None:
    page = read_page(html.encode("utf-8", "replace"), AT)
    for url in (*page.links, *page.images):
        assert str(WebAddress.parse(url)) == url


@pytest.mark.parametrize(
    ("srcset", "found"),
    [
        ("a.png", ["a.png"]),
        (" a.png 1x , b.png 2x,", ["a.png", "b.png"]),
        ("a.png,b.png", ["a.png,b.png"]),
        ("a.png, b.png", ["a.png", "b.png"]),
        ("a,b.png 100w 2h (x, y), c.png", ["a,b.png", "c.png"]),
        (",,,", []),
        ("", []),
    ],
)
def test_a_srcset(srcset: str, found: list[str]) -> None:
    assert list(candidates(srcset)) == found


def test_robots() -> None:
    robots = Robots.parse(
        "User-agent: *\nDisallow: /private\nDisallow: /*.gif$\nAllow: /private/open\nCrawl-delay: 2\n"
    )
    assert robots.allow("http://x/a.png")
    assert not robots.allow("http://x/private/a.png")
    assert not robots.allow("http://x/b/a.gif")
    assert robots.allow("http://x/private/open/a.png")
    assert robots.delay_s == 2
    ours = Robots.parse("User-agent: *\nDisallow:\n\nUser-agent: Pinakothek\nDisallow: /\nCrawl-delay: 99999")
    assert not ours.allow("http://x/a")
    assert ours.delay_s == MAX_DELAY_S
    assert Robots.parse("User-agent: *\nRequest-rate: 1/5s").delay_s == 5


@pytest.mark.parametrize(
    "text", ["", "\0\0", "<html>", "Disallow: /", "User-agent: *\nCrawl-delay: nan\nCrawl-delay: -3"]
)
def test_a_robots_txt_without_sense_forbids_nothing(text: str) -> None:
    assert Robots.parse(text).allow("http://x/a")
    assert 0 <= Robots.parse(text).delay_s <= MAX_DELAY_S


@given(st.text(max_size=300))
def test_any_text_is_a_robots_txt(text: str) -> None:
    robots = Robots.parse("User-agent: *\n" + text)
    robots.allow("http://x/a")
    assert 0 <= robots.delay_s <= MAX_DELAY_S


def test_nothing_is_allowed_where_the_origin_does_not_say() -> None:
    assert not Robots.nothing().allow("http://x/")
    assert Robots.everything().allow("http://x/")


SCOPE = Scope(hosts=frozenset({"a.example", "b.example:8080"}), depth=1, max_pages=10, same_host=False)


@pytest.mark.parametrize(
    ("url", "kind", "depth", "hops", "why"),
    [
        ("http://a.example/x", Kind.PAGE, 1, 0, None),
        ("https://www.a.example/x", Kind.PAGE, 0, 5, None),
        ("http://b.example:8080/", Kind.PAGE, 0, 0, None),
        ("http://b.example/", Kind.PAGE, 0, 0, "another host"),
        ("http://c.example/", Kind.PAGE, 0, 0, "another host"),
        ("http://c.example/", Kind.IMAGE, 1, 0, None),
        ("http://a.example/", Kind.PAGE, 2, 0, "deeper than 1"),
        ("http://a.example/", Kind.IMAGE, 0, 6, "more than 5 redirects"),
    ],
)
def test_scope(url: str, kind: Kind, depth: int, hops: int, why: str | None) -> None:
    assert SCOPE.why_not(WebAddress.parse(url), kind, depth=depth, hops=hops) == why


def test_pace() -> None:
    assert Pace().next_s(10, 10.5) == 11  # as long again as the answer took
    assert Pace(delay_s=5).next_s(10, 10.5) == 15
    assert Pace(delay_s=5).next_s(10, 100) == 110
    assert Pace().next_s(10, 11, 30) == 41
    waits = [retry_in_s(tries) for tries in range(1, TRIES + 1)]
    assert waits == [2, 8, 32, None]
