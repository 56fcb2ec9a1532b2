"""Read a URL that a stranger wrote, into the one form under which it is fetched, compared and remembered.

Pure. Only http and https, no userinfo, a host that is a plain name or a plain address, a port that a web server may
have. What a lenient reader would make an address of (`0x7f.1`, `2130706433`, `127.1`, percent signs, full-width
digits) is refused, so that no two readers can differ about it.
"""

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import unquote, urljoin

import httpx
from idna import IDNAError

from node.ingest.not_fetched import Forbidden
from node.ingest.public_address import parse_address

MAX_URL_CHARS: Final = 2048
"""As given, and in its one form: that is read again, and is what a pin's `origin` holds."""
MAX_NAME_BYTES: Final = 200
"""Of a file name made of a URL; file systems take 255."""
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LEAST_FREE_PORT: Final = 1024
"""Below it only the two ports of the web: ssh, mail, file servers and the like would be talked to in HTTP otherwise."""
_BLOCKED_PORTS: Final = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080}
)
"""Source: "port blocking" of the Fetch standard, those above 1023."""
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
_DOTS_LAST: Final = re.compile(r"^((?:[^?#]*/)?\.{1,2})(?=[?#]|$)")
_AROUND: Final = "".join(map(chr, range(0x21)))
"""What HTML allows around a URL: blanks and control characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAddress:
    """Where to ask and what for. Equal addresses are one address.

    Attributes:
        scheme: `http` or `https`.
        host: lower case, ASCII (IDNA), no trailing dot; an IPv6 address without brackets.
        port: also where it is the scheme's own.
        target: path and query as they are sent.
    """

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an absolute URL; its fragment is dropped.

        Raises:
            Forbidden: it is none that we fetch; the message says why.
        """
        return cls._of(_parsed(_tidy(text)))

    def join(self, reference: str) -> Self:
        """Read a reference that stands on the page at this address, as `parse` does."""
        tidy = _tidy(reference)
        try:
            joined = urljoin(str(self), tidy)
        except ValueError as error:
            raise Forbidden(_not_a_url(tidy)) from error
        return self._of(_parsed(joined))

    @classmethod
    def _of(cls, url: httpx.URL) -> Self:
        if url.scheme not in DEFAULT_PORTS:
            raise Forbidden(f"only http and https are fetched, not {url.scheme or 'a relative URL'!s}")
        if url.userinfo:
            raise Forbidden("a URL with a user name or password is not fetched")
        host = _host(url.raw_host.decode("ascii"))
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        if why := _why_not_port(port):
            raise Forbidden(f"port {port} is not fetched from: {why}")
        address = cls(scheme=url.scheme, host=host, port=port, target=_target(url.raw_path.decode("ascii")))
        if len(str(address)) > MAX_URL_CHARS:  # escapes have made three to nine of one character
            raise _too_long()
        return address

    @property
    def authority(self) -> str:
        """Host, and port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme and authority: what a robots.txt and a crawl delay are for."""
        return f"{self.scheme}://{self.authority}"

    @property
    def folders(self) -> tuple[str, ...]:
        """File names out of the parts of the path before its last; those that would be empty are left out."""
        parts = self.target.partition("?")[0].split("/")[:-1]
        return tuple(name for part in parts if (name := _file_name(part)))

    @property
    def name(self) -> str:
        """A file name out of the last part of the path, or the host; never one that leads out of a folder."""
        return _file_name(self.target.partition("?")[0].rpartition("/")[2]) or self.host.replace(":", "-")

    def __str__(self) -> str:
        return self.origin + self.target


def _file_name(part: str) -> str:
    kept = "".join(c for c in unquote(part) if c.isprintable() and c not in '/\\:*?"<>|').strip(" .")
    return kept.encode()[-MAX_NAME_BYTES:].decode("utf-8", "ignore").strip(" .")


def _tidy(text: str) -> str:
    """As browsers do: blanks around it and line breaks within are not part of a URL."""
    tidy = text.strip(_AROUND).translate({9: None, 10: None, 13: None})
    if len(tidy) > MAX_URL_CHARS:
        raise _too_long()
    authority = re.match(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?[/\\]{2}[^/?#]*", tidy)
    if authority and "\\" in authority[0]:
        raise Forbidden(_not_a_url(tidy))
    # httpx takes `a/..` for a file; RFC 3986 has it end in a slash, or every `..` on a page would lead elsewhere.
    return _DOTS_LAST.sub(r"\1/", tidy)


def _parsed(tidy: str) -> httpx.URL:
    try:
        return httpx.URL(tidy)
    except (httpx.InvalidURL, IDNAError, ValueError) as error:
        raise Forbidden(_not_a_url(tidy)) from error


def _host(raw: str) -> str:
    host = raw.lower()
    if address := parse_address(host.partition("%")[0]):
        if "%" in host:
            raise Forbidden(f"{host}: an address with a zone is not fetched from")
        return str(address)
    host = host.removesuffix(".")
    if not _HOST.fullmatch(host):
        raise Forbidden(f"{raw or 'nothing'!s}: not a host name")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        # Names end in a letter; the WHATWG's rule ("ends in a number") reads everything else as an IPv4 address.
        raise Forbidden(f"{raw}: an address is written as four decimal numbers, or as IPv6 in brackets")
    return host


def _why_not_port(port: int) -> str | None:
    if port in DEFAULT_PORTS.values():
        return None
    if not _LEAST_FREE_PORT <= port <= 65_535:
        return "below 1024 only 80 and 443 are"
    return "another protocol's" if port in _BLOCKED_PORTS else None


def _target(raw: str) -> str:
    """Escapes in one form: none for letters, digits and `-._~`, capital digits for all else (RFC 3986, 6.2.2)."""

    def one(escape: re.Match[str]) -> str:
        char = chr(int(escape[1], 16))
        return char if char in _UNRESERVED else escape[0].upper()

    path, mark, query = raw.partition("?")
    return (_without_dots(_ESCAPE.sub(one, path)) or "/") + mark + _ESCAPE.sub(one, query)


def _without_dots(path: str) -> str:
    """Remove `.` and `..` parts (RFC 3986, 5.2.4), which may have come out of escapes."""
    kept: list[str] = []
    parts = path.split("/")
    for part in parts:
        if part == "..":
            del kept[max(1, len(kept) - 1) :]
        elif part != ".":
            kept.append(part)
    if parts[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)


def _too_long() -> Forbidden:
    return Forbidden(f"the URL is longer than {MAX_URL_CHARS} characters")


def _not_a_url(text: str) -> str:
    return f"{text[:100]!r}: not a URL"
