"""A body that is written as it is made: contents and long listings.

Starlette's own streaming response leaves an abandoned generator to the garbage collector; here it is closed before the
request ends, so that what it holds (an open block, a fetch) is let go in order.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import trio
from starlette.types import Receive, Scope, Send


async def until_disconnect(receive: Receive, scope: trio.CancelScope) -> None:
    """Cancel `scope` when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


class Streamed:
    """An ASGI response that writes `chunks` and closes them, also when the client leaves or a chunk fails."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], headers: Mapping[str, str]) -> None:
        self._chunks = chunks
        self._headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        failure: Exception | None = None
        whole = False
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        async with aclosing(self._chunks), trio.open_nursery() as nursery:
            nursery.start_soon(until_disconnect, receive, nursery.cancel_scope)
            try:
                async for chunk in self._chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                whole = True
            except Exception as error:  # noqa: BLE001 - carried out of the nursery, which would wrap it in a group
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if whole:  # else the client has left, and an end would contradict the length that was promised
            await send({"type": "http.response.body", "body": b"", "more_body": False})
