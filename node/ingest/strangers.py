"""Fetch what a stranger's URL names, and nothing that only we could reach.

A URL may come from anyone: a user, a page, a redirect. So each step is bounded and checked:

1. The URL is read strictly (`web_address`); every redirect's too, at most `redirects` of them.
2. Its host is resolved once, every address must be public, and one of those is connected to (`guarded_network`).
3. Headers, bytes on the wire, bytes decompressed, silence and the whole are capped; the type is told by content (`body`).

httpcore, the engine of httpx, is used without httpx: no proxies, variables, cookies, redirects or decoding of its own.
Each fetch has its own connection, so that a meter counts what one answer costs.
"""

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import httpcore
import trio

from node.ingest.body import Kind, any_type, receive
from node.ingest.guarded_network import GuardedNetwork, Meter, Resolver, system_resolver
from node.ingest.not_fetched import Answered, NotFetched, NotModified, Redirected, TooLarge
from node.ingest.public_address import Network
from node.ingest.web_address import WebAddress
from node.quantities import duration_text, size_text
from node.version import VERSION

ROBOT: Final = "pinakothek"
"""The name that a robots.txt calls us by."""
USER_AGENT: Final = f"{ROBOT}/{VERSION}"
HEADERS_BYTES: Final = 64 << 10
"""Of one answer, whatever precedes it included. Source: twice what common servers let anyone send them; a guess."""
MAX_RETRY_AFTER_S: Final = 86_400.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRANSIENT: Final = frozenset({408, 425, 429})
_TEXT: Final = re.compile(r"[\x20-\x7e]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """What one fetch may cost. All defaults are guesses, but for the size, which is that of an image file.

    Attributes:
        max_bytes: of the body, on the wire and decompressed.
        connect_s: for look-up, connection and TLS.
        silence_s: between two pieces of the answer.
        total_s: for everything, redirects included.
        redirects: followed at most.
    """

    max_bytes: int = 256 << 20
    connect_s: float = 10.0
    silence_s: float = 20.0
    total_s: float = 300.0
    redirects: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came.

    Attributes:
        url: as asked for, in its one form.
        final_url: after redirects.
        path: where the bytes are.
        name: a file name out of `final_url`.
        media_type: told by content.
        etag, last_modified: as the server wrote them, if at all.
    """

    url: str
    final_url: str
    path: Path
    name: str
    media_type: str
    size_bytes: int
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a server wrote of an earlier answer: as `Fetched` has it."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """How this peer fetches.

    Attributes:
        allowed: networks opened by the setting `fetch_allow_cidrs`.
        resolve: how names become addresses.
        limits: of a fetch that names none of its own.
    """

    allowed: Sequence[Network] = ()
    resolve: Resolver = system_resolver
    limits: FetchLimits = FetchLimits()

    async def fetch(
        self,
        url: str | WebAddress,
        into: Path,
        limits: FetchLimits | None = None,
        *,
        kind: Kind = any_type,
        known: Known | None = None,
    ) -> Fetched:
        """Fetch one URL into a file, which exists afterwards only if all went well. Not fsynced.

        Args:
            kind: tells the media type by the first bytes, and refuses what is not wanted before more is read:
                `image_type`, `page_type`, `any_type`.
            known: of an earlier answer, which is not wanted again.

        Raises:
            Redirected: once more than the limits allow.
            NotModified: it is what is `known`.
            Forbidden: policy; asking again is pointless.
            NotFetched: everything else that others cause; `transient` says whether to try again.
            OSError: the disk refuses.
        """
        limits = limits or self.limits
        first = url if isinstance(url, WebAddress) else WebAddress.parse(url)
        with trio.move_on_after(limits.total_s):
            at = first
            for _ in range(limits.redirects + 1):
                came = await self._ask(at, into, limits, kind, known or Known())
                if isinstance(came, Fetched):
                    return Fetched(
                        url=str(first), final_url=str(at), path=into, name=at.name, media_type=came.media_type,
                        size_bytes=came.size_bytes, etag=came.etag, last_modified=came.last_modified,
                    )  # fmt: skip
                at = came
            raise Redirected(limits.redirects, str(at))
        raise NotFetched(f"took longer than {duration_text(limits.total_s)}", transient=True)

    async def _ask(
        self, at: WebAddress, into: Path, limits: FetchLimits, kind: Kind, known: Known
    ) -> Fetched | WebAddress:
        """One question: what came, or where we are sent instead."""
        meter = Meter(HEADERS_BYTES)
        network = GuardedNetwork(self.resolve, self.allowed, meter)
        timeouts = {
            "connect": limits.connect_s, "read": limits.silence_s, "write": limits.silence_s, "pool": limits.connect_s,
        }  # fmt: skip
        target = httpcore.URL(scheme=at.scheme, host=at.host, port=at.port, target=at.target)
        try:
            async with (
                httpcore.AsyncConnectionPool(
                    ssl_context=_tls(), max_connections=1, max_keepalive_connections=0, network_backend=network
                ) as pool,
                pool.stream("GET", target, headers=_headers(at, known), extensions={"timeout": timeouts}) as answer,
            ):
                headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
                if answer.status in _REDIRECTS:
                    return _redirected(at, headers)
                if answer.status == 304 and (known.etag or known.last_modified):
                    raise NotModified
                _check_status(answer.status, headers)
                _check_length(headers, limits.max_bytes)
                # Twice: chunks have heads of their own, and a hundred bytes each are none of an honest server's.
                meter.allow(2 * limits.max_bytes + HEADERS_BYTES, f"larger than {size_text(limits.max_bytes)}")
                media_type, size_bytes = await receive(
                    answer.aiter_stream(), into, encoding=headers.get("content-encoding", ""), kind=kind,
                    max_bytes=limits.max_bytes,
                )  # fmt: skip
                return Fetched(
                    url=str(at), final_url=str(at), path=into, name=at.name, media_type=media_type,
                    size_bytes=size_bytes, etag=_plain(headers, "etag"), last_modified=_plain(headers, "last-modified"),
                )  # fmt: skip
        except httpcore.TimeoutException as error:
            raise NotFetched(f"{at.authority}: no answer in time", transient=True) from error
        except httpcore.ConnectError as error:
            raise _not_connected(at, error) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise NotFetched(f"{at.authority}: the answer broke off or is not HTTP", transient=True) from error


@cache
def _tls() -> ssl.SSLContext:
    return httpcore.default_ssl_context()


def _headers(at: WebAddress, known: Known) -> list[tuple[str, str]]:
    headers = [
        ("Host", at.authority), ("User-Agent", USER_AGENT), ("Accept", "*/*"), ("Accept-Encoding", "gzip"),
        ("Connection", "close"),
    ]  # fmt: skip
    if known.etag:
        headers.append(("If-None-Match", known.etag))
    if known.last_modified:
        headers.append(("If-Modified-Since", known.last_modified))
    return headers


def _redirected(at: WebAddress, headers: Mapping[str, str]) -> WebAddress:
    if "location" not in headers:
        raise NotFetched("a redirect to nowhere")
    # Sent as UTF-8 by many, read as Latin-1 above.
    return at.join(headers["location"].encode("latin-1").decode("utf-8", "replace"))


def _check_status(status: int, headers: Mapping[str, str]) -> None:
    if status == 200:
        return
    transient = status >= 500 or status in _TRANSIENT
    raise Answered(status, transient=transient, retry_after_s=_retry_after_s(headers) if transient else None)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """In seconds only: a date would need the server's clock."""
    text = headers.get("retry-after", "").strip()
    return min(float(text[:9]), MAX_RETRY_AFTER_S) if text.isascii() and text.isdecimal() else None


def _check_length(headers: Mapping[str, str], max_bytes: int) -> None:
    text = headers.get("content-length", "").strip()
    if text.isascii() and text.isdecimal() and int(text[:20]) > max_bytes:
        raise TooLarge(f"larger than {size_text(max_bytes)}: {size_text(int(text[:20]))}")


def _plain(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(name)
    return value if value is not None and _TEXT.fullmatch(value) else None


def _not_connected(at: WebAddress, error: BaseException) -> NotFetched:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NotFetched(f"{at.authority}: its certificate is not valid: {cause.verify_message}")
        cause = cause.__cause__ or cause.__context__
    return NotFetched(f"{at.authority}: no connection", transient=True)
