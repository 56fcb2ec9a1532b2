"""Server-sent events: a response that stays open and writes one event after another.

Source: the HTML standard, "Server-sent events"; comments keep idle connections from looking dead.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec
import trio
from starlette.types import Receive, Scope, Send

from node.control.streamed import until_disconnect
from node.job_rows import JobEvent
from node.rows import EventRow

KEEP_ALIVE_S = 15.0


def written(event: EventRow | JobEvent) -> bytes:
    """An event as it crosses the wire; `id` lets a client say where it was."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.kind.encode(), msgspec.json.encode(event))


class EventStream:
    """An ASGI response that writes `events` until they end, the client leaves, or `stop` is set."""

    def __init__(self, events: AsyncIterator[EventRow] | AsyncIterator[JobEvent], stop: trio.Event) -> None:
        self._events = events
        self._stop = stop
        self._turn = trio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_disconnect, receive, nursery.cancel_scope)
            nursery.start_soon(self._watch_stop, nursery.cancel_scope)
            nursery.start_soon(self._keep_alive, send)
            await self._write(send, b": events\n\n")
            async with aclosing(self._events) as events:  # type: ignore[type-var]
                async for event in events:
                    await self._write(send, written(event))
            nursery.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send, text: bytes) -> None:
        async with self._turn:
            await send({"type": "http.response.body", "body": text, "more_body": True})

    async def _keep_alive(self, send: Send) -> None:
        while True:
            await trio.sleep(KEEP_ALIVE_S)
            await self._write(send, b": still here\n\n")

    async def _watch_stop(self, scope: trio.CancelScope) -> None:
        await self._stop.wait()
        scope.cancel()
