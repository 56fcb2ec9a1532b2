"""Fetching what strangers name: forty ways to send us astray, each refused with a reason, and the ways that are honest.

The server of the tests stands on 127.0.0.7, which the fetcher is allowed; a canary of the same port stands on every
other loopback address that a trick could lead to, and must never hear a connection.
"""

import gzip
import socket
import threading
import zlib
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import trio

from node.ingest.body import image_type, page_type
from node.ingest.guarded_network import system_resolver
from node.ingest.not_fetched import Forbidden, NotFetched, NotModified, Redirected
from node.ingest.public_address import Address
from node.ingest.strangers import FetchLimits, Known, Strangers
from tests.scripted_web import ScriptedWeb, answer, redirect, served, served_apart

HERE = "127.0.0.7"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
PAGE = b"<!DOCTYPE html><title>A page</title><p>" + b"text " * 500
LIMITS = FetchLimits(max_bytes=64 << 10)
HASTY = FetchLimits(max_bytes=64 << 10, connect_s=0.3, silence_s=0.3)
BOUNDED = FetchLimits(max_bytes=64 << 10, connect_s=60, silence_s=60, total_s=0.6)
NAMES = {
    "good.test": [HERE],
    "twice.test": [HERE, HERE],
    "loopback.test": ["127.0.0.1"],
    "mixed.test": [HERE, "127.0.0.1"],
    "metadata.test": ["169.254.169.254"],
    "six.test": ["::1"],
    "nat64.test": ["64:ff9b::7f00:1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "nowhere.test": [],
}


class Names:
    """The resolver of the tests. `rebind.test` is the server the first time it is asked for, and the canary after."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def resolve(self, host: str) -> Sequence[Address]:
        self.asked.append(host)
        if host == "rebind.test":
            return [ip_address(HERE if self.asked.count(host) == 1 else "127.0.0.1")]
        if host not in NAMES:
            raise NotFetched(f"{host}: no such host")
        return [ip_address(address) for address in NAMES[host]]


def strangers(names: Names | None = None, limits: FetchLimits = LIMITS) -> Strangers:
    return Strangers(allowed=(ip_network(f"{HERE}/32"),), resolve=(names or Names()).resolve, limits=limits)


async def drip(data: bytes, stream: trio.SocketStream) -> None:
    """A byte at a time, for as long as the other side listens."""
    for byte in data:
        await stream.send_all(bytes([byte]))
        await trio.sleep(0.02)


async def forever(start: bytes, again: bytes, stream: trio.SocketStream) -> None:
    await stream.send_all(start)
    while True:
        await stream.send_all(again)


async def silence(start: bytes, stream: trio.SocketStream) -> None:
    await stream.send_all(start)
    await trio.sleep_forever()


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(PNG[:8] + bytes(64 << 20), 9)
HOSTILE_ANSWERS = {
    "/huge-by-its-word": OK + b"Content-Length: 99999999999\r\n\r\n",
    "/huge-in-digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "/huge": partial(forever, OK + b"\r\n" + PNG, bytes(8192)),
    "/huge-in-chunks": partial(forever, CHUNKED + b"8\r\n\x89PNG\r\n\x1a\n\r\n", b"100\r\n" + bytes(256) + b"\r\n"),
    "/crumbs": partial(forever, CHUNKED + b"8\r\n\x89PNG\r\n\x1a\n\r\n", b"1\r\nx\r\n" * 1000),
    "/chunk-extensions": partial(forever, CHUNKED, b"1;" + b"x" * 9000 + b"\r\n\x89\r\n"),
    "/gzip-bomb": answer(BOMB, "Content-Encoding: gzip"),
    "/gzip-cut": answer(gzip.compress(PNG)[:-20], "Content-Encoding: gzip"),
    "/gzip-damaged": answer(b"\x1f\x8b" + bytes(200), "Content-Encoding: gzip"),
    "/deflate": answer(zlib.compress(PNG), "Content-Encoding: deflate"),
    "/brotli": answer(PNG, "Content-Encoding: br"),
    "/gzip-twice": answer(gzip.compress(gzip.compress(PNG)), "Content-Encoding: gzip, gzip"),
    "/long-header": OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    "/many-headers": partial(forever, OK, b"X: y\r\n" * 100),
    "/many-continues": partial(forever, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "/slow-headers": partial(drip, OK + b"X: " + b"y" * 50_000),
    "/slow-body": partial(drip, OK + b"\r\n" + PNG * 10),
    "/silent": partial(silence, b""),
    "/silent-body": partial(silence, OK + b"Content-Length: 6000\r\n\r\n" + PNG[:2000]),
    "/cut": OK + b"Content-Length: 6000\r\n\r\n" + PNG[:2000],
    "/not-http": b"220 mail.example ESMTP ready\r\n" * 10,
    "/http-0.9": PNG,
    "/no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/empty": answer(b""),
    "/missing": answer(PNG, status="404 Not Found"),
    "/busy": answer(b"", "Retry-After: 30", status="503 Service Unavailable"),
    "/called-image": answer(PAGE, "Content-Type: image/png"),
    "/switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "/to-nowhere": b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    "/loop": redirect("/loop"),
    "/to-loopback": redirect("http://127.0.0.1:{port}/secret"),
    "/to-localhost": redirect("http://loopback.test:{port}/secret"),
    "/to-six": redirect("http://[::1]:{port}/secret"),
    "/to-metadata": redirect("http://169.254.169.254/latest/meta-data/"),
    "/to-file": redirect("file:///etc/passwd"),
    "/to-gopher": redirect("gopher://127.0.0.1:{port}/_x"),
    "/to-ssh": redirect("http://good.test:22/"),
    "/to-userinfo": redirect("http://good.test@127.0.0.1:{port}/secret"),
    "/to-rebound": redirect("http://rebind.test:{port}/secret"),
    "/split": redirect("http://good.test:{port}/%0d%0aX: y"),
}  # fmt: skip

HOSTILE: list[tuple[str, str, FetchLimits, bool]] = [
    ("http://127.0.0.1:{port}/secret", "127.0.0.1: not fetched from: this host", LIMITS, False),
    ("http://127.0.0.1.:{port}/secret", "127.0.0.1", LIMITS, False),
    ("http://0.0.0.0:{port}/secret", "this host", LIMITS, False),
    ("http://[::1]:{port}/secret", "this host", LIMITS, False),
    ("http://[::]:{port}/secret", "this host", LIMITS, False),
    ("http://[::ffff:127.0.0.1]:{port}/secret", "an IPv4 address in disguise", LIMITS, False),
    ("http://[::127.0.0.1]:{port}/secret", "an IPv4 address in disguise", LIMITS, False),
    ("http://[64:ff9b::127.0.0.1]:{port}/secret", "NAT64", LIMITS, False),
    ("http://[2002:7f00:1::]:{port}/secret", "6to4", LIMITS, False),
    ("http://[fe80::1%25lo]:{port}/secret", "zone", LIMITS, False),
    ("http://[ff02::1]:{port}/", "multicast", LIMITS, False),
    ("http://0x7f.1:{port}/secret", "four decimal numbers", LIMITS, False),
    ("http://0x7f000001:{port}/secret", "four decimal numbers", LIMITS, False),
    ("http://2130706433:{port}/secret", "four decimal numbers", LIMITS, False),
    ("http://127.1:{port}/secret", "four decimal numbers", LIMITS, False),
    ("http://0177.0.0.1:{port}/secret", "not a URL", LIMITS, False),
    ("http://%31%32%37.0.0.1:{port}/secret", "not a host name", LIMITS, False),
    ("http://127。0。0。1:{port}/secret", "this host", LIMITS, False),
    ("http://１２７.0.0.1:{port}/secret", "not a URL", LIMITS, False),
    ("http://①②⑦.0.0.1:{port}/secret", "not a URL", LIMITS, False),
    ("http://loopback.test:{port}/secret", "loopback.test (127.0.0.1): not fetched from: this host", LIMITS, False),
    ("http://mixed.test:{port}/secret", "mixed.test (127.0.0.1)", LIMITS, False),
    ("http://metadata.test/latest/meta-data/", "link-local", LIMITS, False),
    ("http://six.test:{port}/secret", "this host", LIMITS, False),
    ("http://nat64.test:{port}/secret", "NAT64", LIMITS, False),
    ("http://mapped.test:{port}/secret", "in disguise", LIMITS, False),
    ("http://nowhere.test:{port}/", "has no address", LIMITS, False),
    ("http://unknown.test:{port}/", "no such host", LIMITS, False),
    ("http://10.0.0.1/", "a private network", LIMITS, False),
    ("http://good.test@127.0.0.1:{port}/secret", "user name or password", LIMITS, False),
    ("http://good.test:{port}@127.0.0.1/secret", "user name or password", LIMITS, False),
    ("http://good.test\\@127.0.0.1:{port}/secret", "not a URL", LIMITS, False),
    ("http://good.test:6379/", "", LIMITS, True),  # a port that nobody listens on
    ("http://good.test:22/", "port 22", LIMITS, False),
    ("ftp://good.test/", "only http and https", LIMITS, False),
    ("file:///etc/passwd", "only http and https", LIMITS, False),
    ("https://good.test:{port}/plain", "", HASTY, True),  # no TLS there
    ("{here}/huge-by-its-word", "larger than 64.0 KiB: 93.1 GiB", LIMITS, False),
    ("{here}/huge-in-digits", "", LIMITS, True),
    ("{here}/huge", "larger than 64.0 KiB", LIMITS, False),
    ("{here}/crumbs", "crumbs", LIMITS, False),
    ("{here}/huge-in-chunks", "larger than 64.0 KiB", LIMITS, False),
    ("{here}/chunk-extensions", "larger than 64.0 KiB", LIMITS, False),
    ("{here}/gzip-bomb", "larger than 64.0 KiB", LIMITS, False),
    ("{here}/gzip-cut", "ends too early", LIMITS, True),
    ("{here}/gzip-damaged", "damaged", LIMITS, False),
    ("{here}/deflate", "encoded as deflate", LIMITS, False),
    ("{here}/brotli", "encoded as br", LIMITS, False),
    ("{here}/gzip-twice", "encoded as gzip, gzip", LIMITS, False),
    ("{here}/long-header", "headers are too long", LIMITS, False),
    ("{here}/many-headers", "headers are too long", LIMITS, False),
    ("{here}/many-continues", "headers are too long", LIMITS, False),
    ("{here}/slow-headers", "took longer", BOUNDED, True),
    ("{here}/slow-body", "took longer", BOUNDED, True),
    ("{here}/silent", "no answer in time", HASTY, True),
    ("{here}/silent-body", "no answer in time", HASTY, True),
    ("{here}/cut", "broke off", LIMITS, True),
    ("{here}/not-http", "not HTTP", LIMITS, True),
    ("{here}/http-0.9", "not HTTP", LIMITS, True),
    ("{here}/no-content", "answered 204", LIMITS, False),
    ("{here}/empty", "empty, 0 bytes", LIMITS, False),
    ("{here}/missing", "answered 404", LIMITS, False),
    ("{here}/busy", "answered 503", LIMITS, True),
    ("{here}/called-image", "not an image: text", LIMITS, False),
    ("{here}/switch", "not HTTP", LIMITS, True),
    ("{here}/to-nowhere", "a redirect to nowhere", LIMITS, False),
    ("{here}/loop", "more than 5 redirects", LIMITS, False),
    ("{here}/to-loopback", "127.0.0.1: not fetched from: this host", LIMITS, False),
    ("{here}/to-localhost", "loopback.test (127.0.0.1)", LIMITS, False),
    ("{here}/to-six", "this host", LIMITS, False),
    ("{here}/to-metadata", "link-local", LIMITS, False),
    ("{here}/to-file", "not file", LIMITS, False),
    ("{here}/to-gopher", "not gopher", LIMITS, False),
    ("{here}/to-ssh", "port 22", LIMITS, False),
    ("{here}/to-userinfo", "user name or password", LIMITS, False),
    ("http://rebind.test:{port}/to-rebound", "rebind.test (127.0.0.1): not fetched from: this host", LIMITS, False),
    ("{here}/split", "answered 404", LIMITS, False),
]  # fmt: skip


def script(web: ScriptedWeb) -> None:
    for path, found in HOSTILE_ANSWERS.items():
        web.answers[path] = found.replace(b"{port}", str(web.port).encode()) if isinstance(found, bytes) else found


@pytest.mark.parametrize(("url", "reason", "limits", "transient"), HOSTILE, ids=[row[0] for row in HOSTILE])
async def test_a_hostile_url_is_refused_with_a_reason(
    url: str, reason: str, limits: FetchLimits, transient: bool, tmp_path: Path
) -> None:
    into = tmp_path / "fetched"
    async with served_apart(HERE, "127.0.0.1", "::1") as (web, canary):
        script(web)
        text = url.format(port=web.port, here=f"http://good.test:{web.port}")
        with pytest.raises(NotFetched) as refused:
            await strangers().fetch(text, into, limits, kind=image_type)
        assert canary.connections == 0
    assert reason in refused.value.message
    assert "\n" not in refused.value.message
    assert refused.value.transient is transient
    assert not into.exists(), "what was refused leaves nothing"


def test_the_table_is_long_enough() -> None:
    assert len({url for url, *_ in HOSTILE}) >= 40


async def test_the_canary_would_hear(tmp_path: Path) -> None:
    """The same fetch with the canary's address allowed reaches it: the table above can fail."""
    async with served("127.0.0.1") as canary:
        canary.answers["/secret"] = answer(PNG)
        allowed = Strangers(allowed=(ip_network("127.0.0.1/32"),), resolve=Names().resolve, limits=LIMITS)
        await allowed.fetch(f"http://loopback.test:{canary.port}/secret", tmp_path / "fetched")
        assert canary.connections == 1


async def test_an_image_comes_with_what_is_known_of_it(tmp_path: Path) -> None:
    into = tmp_path / "fetched"
    async with served(HERE) as web:
        web.answers["/a%20b.png?x=1"] = answer(PNG, 'ETag: "v1"', "Last-Modified: today", "Content-Type: text/plain")
        web.answers["/moved"] = redirect("/a b.png?x=1#there", "301 Moved Permanently")
        came = await strangers().fetch(f"http://GOOD.test:{web.port}/moved", into, kind=image_type)
        request = web.requests[0]
    assert into.read_bytes() == PNG
    assert came.url == f"http://good.test:{web.port}/moved"
    assert came.final_url == f"http://good.test:{web.port}/a%20b.png?x=1"
    assert (came.name, came.media_type, came.size_bytes) == ("a b.png", "image/png", len(PNG))
    assert (came.etag, came.last_modified) == ('"v1"', "today")
    assert request.startswith(f"GET /moved HTTP/1.1\r\nHost: good.test:{web.port}\r\nUser-Agent: pinakothek/".encode())
    assert b"cookie" not in request.lower()


async def test_gzip_is_undone_and_measured_decompressed(tmp_path: Path) -> None:
    async with served(HERE) as web:
        web.answers["/page"] = answer(gzip.compress(PAGE), "Content-Encoding: gzip")
        came = await strangers().fetch(f"http://good.test:{web.port}/page", tmp_path / "page", kind=page_type)
    assert (tmp_path / "page").read_bytes() == PAGE
    assert (came.media_type, came.size_bytes) == ("text/html", len(PAGE))


async def test_a_name_is_resolved_once_a_connection(tmp_path: Path) -> None:
    names = Names()
    async with served(HERE) as web:
        web.answers["/a"] = answer(PNG)
        await strangers(names).fetch(f"http://rebind.test:{web.port}/a", tmp_path / "a")
    assert names.asked == ["rebind.test"]


async def test_the_next_address_is_tried(tmp_path: Path) -> None:
    async with served(HERE) as web:
        web.answers["/a"] = answer(PNG)

        async def resolve(host: str) -> Sequence[Address]:
            return [ip_address("127.0.0.8"), ip_address(HERE)]  # nobody listens on the first

        allowed = Strangers(allowed=(ip_network("127.0.0.0/29"), ip_network("127.0.0.8/29")), resolve=resolve)
        await allowed.fetch(f"http://good.test:{web.port}/a", tmp_path / "a")
        assert web.asked == ["/a"]


async def test_the_server_may_say_how_long_to_wait(tmp_path: Path) -> None:
    async with served(HERE) as web:
        script(web)
        with pytest.raises(NotFetched) as refused:
            await strangers().fetch(f"http://good.test:{web.port}/busy", tmp_path / "busy")
    assert refused.value.retry_after_s == 30


async def test_what_is_known_is_not_sent_again(tmp_path: Path) -> None:
    async with served(HERE) as web:
        web.answers["/a"] = b"HTTP/1.1 304 Not Modified\r\n\r\n"
        url = f"http://good.test:{web.port}/a"
        with pytest.raises(NotModified):
            await strangers().fetch(url, tmp_path / "a", known=Known(etag='"v1"', last_modified="today"))
        with pytest.raises(NotFetched, match="answered 304"):
            await strangers().fetch(url, tmp_path / "a")
    assert b'If-None-Match: "v1"\r\nIf-Modified-Since: today' in web.requests[0]
    assert b"If-" not in web.requests[1]


async def test_whoever_follows_redirects_himself_is_told_where_to(tmp_path: Path) -> None:
    async with served(HERE) as web:
        web.answers["/a"] = redirect("b?c#d")
        with pytest.raises(Redirected) as sent:
            await strangers().fetch(f"http://good.test:{web.port}/a", tmp_path / "a", FetchLimits(redirects=0))
        assert sent.value.to == f"http://good.test:{web.port}/b?c"
        assert web.asked == ["/a"]


async def test_policy_has_its_own_exit_code(tmp_path: Path) -> None:
    with pytest.raises(Forbidden) as refused:
        await strangers().fetch("http://127.0.0.1/", tmp_path / "x")
    assert refused.value.exit_code == 5
    with pytest.raises(NotFetched) as failed:
        await strangers().fetch("http://unknown.test/", tmp_path / "x")
    assert failed.value.exit_code == 1


async def test_variables_of_the_environment_send_us_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(HERE) as web, served("127.0.0.1") as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        web.answers["/a"] = answer(PNG)
        await strangers().fetch(f"http://good.test:{web.port}/a", tmp_path / "a")
        assert proxy.connections == 0


async def test_the_system_resolves_what_is_in_its_hosts_file() -> None:
    assert ip_address("127.0.0.1") in await system_resolver("localhost")
    with pytest.raises(NotFetched, match="no such host"):
        await system_resolver("no-such-name.invalid")


async def test_silent_name_servers_take_no_thread_of_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def silent(*_: Any, **__: Any) -> list[Any]:
        answered.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    try:
        with trio.move_on_after(0.01):
            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(system_resolver, f"{number}.test")
        assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
    finally:
        answered.set()
    assert await system_resolver("after.test") == []
