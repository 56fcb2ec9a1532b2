"""Stop working for a client that has hung up: uvicorn takes what is sent to nobody without a word."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from node.gateway.answers import Receive


async def while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Await `work`, and cancel it should the client leave. Raises: what `work` raises."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
        await asyncio.wait((working, leaving))
    if not working.cancelled():
        working.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
