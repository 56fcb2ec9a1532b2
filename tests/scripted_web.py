"""A web server on loopback that sends exactly the bytes it is told to, for the requests it is told of."""

import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import trio

Answer = bytes | Callable[[trio.SocketStream], Awaitable[None]]
"""For one path: the bytes of the whole answer, or what to do with the connection."""


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer of HTTP/1.1."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def redirect(to: str, status: str = "302 Found") -> bytes:
    return answer(b"", f"Location: {to}", status=status)


class ScriptedWeb:
    """Answers by path; remembers the targets asked for, and how many connections came."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def handle(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        request = b""
        try:
            while b"\r\n\r\n" not in request:
                read = await stream.receive_some()
                if not read:
                    return
                request += read
            target = request.split(b" ")[1].decode()
            self.asked.append(target)
            self.requests.append(request)
            found = self.answers.get(target, answer(b"nothing here", status="404 Not Found"))
            if isinstance(found, bytes):
                await stream.send_all(found)
            else:
                await found(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await stream.aclose()


@asynccontextmanager
async def served(*hosts: str, port: int = 0) -> AsyncIterator[ScriptedWeb]:
    """A server on one port of all these addresses; IPv6 where there is any."""
    web = ScriptedWeb()
    web.port = port
    listeners: list[trio.SocketListener] = []
    for host in hosts:
        try:
            listeners += await trio.open_tcp_listeners(web.port, host=host)
        except OSError:
            if ":" not in host:
                raise
        web.port = web.port or listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, web.handle, listeners)
        yield web
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def served_apart(here: str, *hosts: str) -> AsyncIterator[tuple[ScriptedWeb, ScriptedWeb]]:
    """Two servers on one port, the first here and the second on other addresses; ports that others have are passed over."""
    while True:
        async with AsyncExitStack() as stack:
            web = await stack.enter_async_context(served(here))
            try:
                other = await stack.enter_async_context(served(*hosts, port=web.port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            yield web, other
            return
