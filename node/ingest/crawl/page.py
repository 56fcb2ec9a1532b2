"""Read a page of HTML: where it links to, and which images it shows. CSS and scripts are not read.

Pure; runs in a process of its own (`node.ingest.crawl.reader`), because a parser in C reads what strangers wrote.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

from node.ingest.not_fetched import Forbidden
from node.ingest.web_address import WebAddress

MAX_LINKS: Final = 5_000
MAX_IMAGES: Final = 5_000
"""Of one page; whatever comes after is not seen. Far more than pages have that people look at; a guess."""
_IMAGE_ENDINGS: Final = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".tif", ".tiff", ".heic", ".svg")
"""A link whose path ends so leads to an image: galleries link their thumbnails to the originals."""
_SOURCES: Final = ("src", "data-src", "data-original", "data-lazy-src")
_SOURCE_SETS: Final = ("srcset", "data-srcset", "data-lazy-srcset")
_IMAGE_PROPERTIES: Final = frozenset(
    {"og:image", "og:image:url", "og:image:secure_url", "twitter:image", "twitter:image:src"}
)
_CHARSET: Final = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([a-zA-Z0-9_-]{2,20})", re.IGNORECASE)
_CHARSETS: Final = re.compile(r"(iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|shift_jis|euc-(jp|kr)|gb(k|2312|18030)|big5)")
_CANDIDATE: Final = re.compile(r"[\s,]*([^\s,]\S*)")
_DESCRIPTORS: Final = re.compile(r"(?:\([^)]*\)|[^,(])*")


class Page(NamedTuple):
    """What a page has, as URLs in their one form, each once, in the order of the page."""

    links: tuple[str, ...]
    images: tuple[str, ...]


def read_page(content: bytes, url: str) -> Page:
    """Read the page that lies at `url`.

    A page that asks for it (`<meta name="robots" content="nofollow">`, `rel="nofollow"`) is not followed;
    `noimageindex` keeps its images.
    """
    tree = LexborHTMLParser(_decoded(content))
    base = _base(tree, WebAddress.parse(url))
    known: dict[str, WebAddress | None] = {}

    def joined(reference: str) -> WebAddress | None:
        """Pages repeat themselves, and reading a URL is the dearest part of reading a page."""
        plain = reference.partition("#")[0]
        if plain not in known:
            known[plain] = _joined(base, plain)
        return known[plain]

    orders = _robots_orders(tree)
    links: dict[str, None] = {}
    images: dict[str, None] = {}
    for reference, follow in _links(tree):
        address = joined(reference)
        if address is None or "nofollow" in orders or not follow:
            continue
        if _path(address).endswith(_IMAGE_ENDINGS):
            images[str(address)] = None
        else:
            links[str(address)] = None
        if len(links) >= MAX_LINKS or len(images) >= MAX_IMAGES:
            break
    shown: dict[str, None] = {}
    for reference in _images(tree):
        address = joined(reference)
        if address is not None:
            shown[str(address)] = None
        if len(shown) >= MAX_IMAGES:
            break
    kept = () if "noimageindex" in orders else (*shown, *(each for each in images if each not in shown))
    return Page(tuple(links), kept[:MAX_IMAGES])


def _links(tree: LexborHTMLParser) -> Iterator[tuple[str, bool]]:
    for node in tree.css("a[href], area[href], iframe[src], frame[src]"):
        reference = _attribute(node, "href") or _attribute(node, "src")
        if reference:
            yield reference, "nofollow" not in _attribute(node, "rel").lower().split()


def _images(tree: LexborHTMLParser) -> Iterator[str]:
    for node in tree.css("img, picture source, input[type=image], video[poster]"):
        names = ("poster",) if node.tag == "video" else _SOURCES
        yield from (text for name in names if (text := _attribute(node, name)))
        for name in _SOURCE_SETS:
            yield from candidates(_attribute(node, name))
    for node in tree.css("svg image"):
        yield _attribute(node, "href") or _attribute(node, "xlink:href")
    for node in tree.css("meta[content]"):
        if (_attribute(node, "property") or _attribute(node, "name")).lower() in _IMAGE_PROPERTIES:
            yield _attribute(node, "content")
    for node in tree.css("link[rel=image_src][href]"):
        yield _attribute(node, "href")


def candidates(srcset: str) -> Iterator[str]:
    """The URLs of a `srcset`, all of them: each is an image of its own. Source: HTML standard, "parse a srcset"."""
    at = 0
    while found := _CANDIDATE.match(srcset, at):
        url, at = found[1], found.end()
        if url.endswith(","):
            url = url.rstrip(",")
        elif rest := _DESCRIPTORS.match(srcset, at):
            at = rest.end()
        if url:
            yield url


def _base(tree: LexborHTMLParser, address: WebAddress) -> WebAddress:
    node = tree.css_first("base[href]")
    return address if node is None else _joined(address, _attribute(node, "href")) or address


def _robots_orders(tree: LexborHTMLParser) -> set[str]:
    orders: set[str] = set()
    for node in tree.css("meta[name][content]"):
        if _attribute(node, "name").lower() in ("robots", "pinakothek"):
            orders |= {word.strip().lower() for word in _attribute(node, "content").split(",")}
    return orders | ({"nofollow", "noimageindex"} if "none" in orders else set())


def _joined(base: WebAddress, reference: str) -> WebAddress | None:
    """None where a reference leads nowhere that we fetch: `data:`, `mailto:`, a port of its own kind."""
    if not reference:
        return None
    try:
        return base.join(reference)
    except Forbidden:
        return None


def _path(address: WebAddress) -> str:
    return address.target.partition("?")[0].lower()


def _attribute(node: LexborNode, name: str) -> str:
    return node.attributes.get(name) or ""


def _decoded(content: bytes) -> str:
    """As UTF-8, unless the page names one of the older charsets, and then only what is no UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        named = _CHARSET.search(content[:1024])
        charset = named[1].decode("ascii").lower() if named else ""
        return content.decode(charset if _CHARSETS.fullmatch(charset) else "utf-8", "replace")
