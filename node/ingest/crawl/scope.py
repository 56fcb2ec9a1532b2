"""How far a crawl goes: which URLs it visits, and why not the others. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.ingest.web_address import WebAddress

MAX_DEPTH: Final = 100
MAX_PAGES: Final = 1_000_000
MAX_HOPS: Final = 5
"""Redirects in a row."""


class Kind(StrEnum):
    """What is expected at a URL."""

    PAGE = "page"
    IMAGE = "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The bounds of one crawl.

    Attributes:
        hosts: whose pages are visited, as `site` writes them.
        depth: links from a start page; 0 are the start pages alone.
        max_pages: pages that are asked for.
        same_host: images, too, are taken from these hosts only; else from wherever pages show them.
    """

    hosts: frozenset[str]
    depth: int
    max_pages: int
    same_host: bool

    def why_not(self, address: WebAddress, kind: Kind, *, depth: int, hops: int) -> str | None:
        """Why a URL is out of bounds; None where it is not.

        Args:
            depth: of the page; of the page that shows it, for an image.
            hops: redirects on the way here.
        """
        if hops > MAX_HOPS:
            return f"more than {MAX_HOPS} redirects"
        if site(address.authority) not in self.hosts and (kind is Kind.PAGE or self.same_host):
            return "another host"
        if kind is Kind.PAGE and depth > self.depth:
            return f"deeper than {self.depth}"
        return None


def site(authority: str) -> str:
    """A host as a crawl's bounds have it: many a start page only leads to the same with `www.`, or without."""
    return authority.removeprefix("www.")
