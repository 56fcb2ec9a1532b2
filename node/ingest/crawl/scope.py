"""How far a crawl goes: which URLs it visits, and why not the others. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Self

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
        hosts: whose pages are visited: `example.com`, or `example.com:8080` where the port is not the scheme's own.
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
        if address.authority not in self.hosts and (kind is Kind.PAGE or self.same_host):
            return "another host"
        if kind is Kind.PAGE and depth > self.depth:
            return f"deeper than {self.depth}"
        return None

    def to_json(self) -> dict[str, Any]:
        """As it stands in a job's request."""
        return asdict(self) | {"hosts": sorted(self.hosts)}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**{**written, "hosts": frozenset(written["hosts"])})
