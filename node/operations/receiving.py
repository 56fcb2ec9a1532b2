"""Write what a client sends to a file of the workspace, within bounds and the room there is."""

from collections.abc import AsyncIterator
from pathlib import Path

import trio

from node.errors import Failed
from node.parts import Parts
from node.quantities import size_text
from store.errors import StoreFull

WRITE_BYTES = 1 << 20
"""Between two turns in a thread."""


async def check_room(parts: Parts, size_bytes: int) -> None:
    """Refuse what does not fit what this peer offers. Raises: Failed."""
    used_bytes = await trio.to_thread.run_sync(parts.store.used_bytes)
    free_bytes = max(0, parts.capacity_bytes - used_bytes)
    if size_bytes > free_bytes:
        raise Failed(str(StoreFull(size_bytes, free_bytes)), hint="give this peer more --capacity")


async def receive(parts: Parts, path: Path, body: AsyncIterator[bytes], max_bytes: int) -> None:
    """Write `body` to the new file `path`.

    Raises:
        Failed: more than `max_bytes`, more than there is room for, or the disk refuses.
        Trouble: more than the workspace has room for now.
    """
    size_bytes = 0
    waiting: list[bytes] = []
    waiting_bytes = 0
    try:
        async with await trio.open_file(path, "xb", buffering=0) as file:
            async for part in body:
                size_bytes += len(part)
                waiting_bytes += len(part)
                if size_bytes > max_bytes:
                    raise Failed(f"too large: more than {size_text(max_bytes)}")
                waiting.append(part)
                if waiting_bytes >= WRITE_BYTES:
                    await check_room(parts, size_bytes)
                    await trio.to_thread.run_sync(parts.jobs.workplace.check_room, waiting_bytes)
                    await file.write(b"".join(waiting))
                    waiting, waiting_bytes = [], 0
            await check_room(parts, size_bytes)
            await file.write(b"".join(waiting))
    except OSError as error:
        raise Failed(f"the workspace: {(error.strerror or str(error)).lower()}") from error
