"""Connections to where strangers send us: every address is checked, and the one that was checked is connected to.

A name is resolved here, once, and never again by a library underneath: so a name that answers with another address the
second time (DNS rebinding) gains nothing. What a server may send is metered below the HTTP parser, whatever it sends.
"""

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

import httpcore
import trio

from node.ingest.not_fetched import Forbidden, NotFetched
from node.ingest.public_address import Address, Network, parse_address, why_not_public

Resolver = Callable[[str], Awaitable[Sequence[Address]]]
"""Host name → its addresses, best first. Raises: NotFetched."""
ADDRESSES_TRIED: Final = 3
LOOKUPS_AT_ONCE: Final = 32
"""Guess: as many as may fetch at a time, and some that were given up."""
_LOOKUPS: Final = trio.lowlevel.RunVar[trio.CapacityLimiter]("lookups")
READ_BYTES: Final = 16 << 10
"""Handed to the HTTP parser at a time, between two of which everything else has its turn."""


async def system_resolver(host: str) -> Sequence[Address]:
    """Ask as every program on this machine asks (hosts file, DNS)."""
    ask = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    try:
        found = await trio.to_thread.run_sync(ask, abandon_on_cancel=True, limiter=_lookups())
    except socket.gaierror as error:
        raise NotFetched(f"{host}: no such host", transient=error.errno == socket.EAI_AGAIN) from error
    except (OSError, UnicodeError) as error:
        raise NotFetched(f"{host}: cannot be looked up", transient=True) from error
    addresses = (parse_address(str(at[0])) for *_, at in found)
    return [address for address in addresses if address is not None]


def _lookups() -> trio.CapacityLimiter:
    """Threads of look-ups only: one for a name server that is silent stays for half a minute, whoever gave up on it.

    With trio's own forty, a page of such names would keep the daemon from its disk.
    """
    try:
        return _LOOKUPS.get()
    except LookupError:
        limiter = trio.CapacityLimiter(LOOKUPS_AT_ONCE)
        _LOOKUPS.set(limiter)
        return limiter


class Meter:
    """How many bytes a server may still send; what it sends beyond ends the connection."""

    def __init__(self, left_bytes: int) -> None:
        self.left_bytes = left_bytes
        self.reason = "the answer's headers are too long"

    def allow(self, left_bytes: int, reason: str) -> None:
        """Start anew, with what to say beyond."""
        self.left_bytes, self.reason = left_bytes, reason

    def count(self, read_bytes: int) -> None:
        self.left_bytes -= read_bytes
        if self.left_bytes < 0:
            raise NotFetched(self.reason)


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """What httpcore connects through.

    Args:
        resolve: how names become addresses.
        allowed: networks that may be connected to although they are not public.
        meter: of all that is read.
    """

    def __init__(self, resolve: Resolver, allowed: Sequence[Network], meter: Meter) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._meter = meter
        self._under = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        with trio.move_on_after(float("inf") if timeout is None else timeout):
            addresses = await self._checked(host)
            failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
            for address in addresses[:ADDRESSES_TRIED]:
                each_s = None if timeout is None else timeout / min(len(addresses), ADDRESSES_TRIED)
                try:
                    stream = await self._under.connect_tcp(str(address), port, each_s, local_address, socket_options)
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    failure = failure or error
                else:
                    return _Metered(stream, self._meter)
            assert failure is not None
            raise failure
        raise httpcore.ConnectTimeout

    async def _checked(self, host: str) -> Sequence[Address]:
        literal = parse_address(host)
        addresses = [literal] if literal else await self._resolve(host)
        if not addresses:
            raise NotFetched(f"{host}: has no address")
        for address in addresses:
            if why := why_not_public(address, self._allowed):
                named = str(address) if literal else f"{host} ({address})"
                raise Forbidden(f"{named}: not fetched from: {why}")
        return addresses

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise Forbidden("sockets of this machine are not fetched from")

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class _Metered(httpcore.AsyncNetworkStream):
    """A connection that counts what it reads, decrypted where it is encrypted."""

    def __init__(self, under: httpcore.AsyncNetworkStream, meter: Meter) -> None:
        self._under = under
        self._meter = meter

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        read = await self._under.read(min(max_bytes, READ_BYTES), timeout)
        self._meter.count(len(read))
        return read

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._under.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._under.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Metered(await self._under.start_tls(ssl_context, server_hostname, timeout), self._meter)

    def get_extra_info(self, info: str) -> Any:
        return self._under.get_extra_info(info)
