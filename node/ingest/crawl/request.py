"""What a crawl is asked for, as it comes over the control socket and stands in its job."""

from dataclasses import dataclass

from node.errors import Usage
from node.ingest.crawl.scope import MAX_DEPTH, MAX_PAGES, Scope, site
from node.ingest.not_fetched import Forbidden
from node.ingest.web_address import WebAddress

DEFAULT_DEPTH = 2
DEFAULT_MAX_PAGES = 1_000
DEFAULT_MIN_PX = 64
MAX_STARTS = 1_000
MAX_HOSTS = 1_000
MAX_DELAY_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlRequest:
    """One crawl.

    Attributes:
        urls: pages to start from.
        flow: where images go.
        hosts: whose pages are visited besides those of the start pages.
        depth: links from a start page.
        max_pages: pages asked for at most.
        same_host: images, too, from these hosts only.
        min_px: of an image's shorter side.
        delay_s: the least pause between two requests to one host.
        dry_run: list images, fetch none.
    """

    urls: tuple[str, ...]
    flow: str = "default"
    hosts: tuple[str, ...] = ()
    depth: int = DEFAULT_DEPTH
    max_pages: int = DEFAULT_MAX_PAGES
    same_host: bool = False
    min_px: int = DEFAULT_MIN_PX
    delay_s: float = 0.0
    dry_run: bool = False

    def check(self) -> None:
        """Raises: Usage: it makes no sense. Forbidden: a start page is none that we fetch."""
        if not 1 <= len(self.urls) <= MAX_STARTS:
            raise Usage(f"{len(self.urls)} start pages: expected 1 to {MAX_STARTS}")
        if len(self.hosts) > MAX_HOSTS:
            raise Usage(f"{len(self.hosts)} hosts: expected at most {MAX_HOSTS}")
        for name, value, most in (("depth", self.depth, MAX_DEPTH), ("max-pages", self.max_pages, MAX_PAGES)):
            if not 0 <= value <= most:
                raise Usage(f"{name} {value}: expected 0 to {most}")
        if not 0 <= self.min_px <= 1 << 20:
            raise Usage(f"min-px {self.min_px}: expected 0 to {1 << 20}")
        if not 0 <= self.delay_s <= MAX_DELAY_S:
            raise Usage(f"delay {self.delay_s:g} s: expected 0 to {MAX_DELAY_S:g} s")
        self.scope()

    def scope(self) -> Scope:
        """Its bounds. Raises: Forbidden, Usage."""
        named = {site(_authority(host)) for host in self.hosts}
        starts = {site(WebAddress.parse(url).authority) for url in self.urls}
        return Scope(
            hosts=frozenset(named | starts), depth=self.depth, max_pages=self.max_pages, same_host=self.same_host
        )


def _authority(host: str) -> str:
    try:
        return WebAddress.parse(f"http://{host}/").authority
    except Forbidden as error:
        raise Usage(f"host {host[:100]!r}: expected a name such as example.com, or one with a port") from error
