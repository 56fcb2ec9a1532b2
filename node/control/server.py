"""Serve the control API on a data directory's Unix socket, on the daemon's own trio loop.

hypercorn reads and writes HTTP; listening is ours (`listener`), because hypercorn neither makes a socket that only its
owner can use nor says who is on the other side.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import trio
from hypercorn.config import Config as HttpConfig
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

from node.control.address import socket_path
from node.control.app import make_app
from node.control.listener import OwnerListener, PatientStream, listen
from node.service import Service

log = logging.getLogger("pinakothek.control")

IDLE_TIMEOUT_S = 75.0
"""How long a connection without a request stays; nginx's default for the same."""
MAX_HEADER_BYTES = 16 * 1024


async def serve(
    service: Service,
    data_dir: Path,
    stop: trio.Event,
    *,
    version: str,
    grace_s: float = 3.0,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop`; then requests in hand have `grace_s`, and what is left is dropped.

    Raises:
        Failed: the socket cannot be made, or a daemon answers there already. Before `task_status` is started.
    """
    path = socket_path(data_dir)
    with _listening(path) as channel:
        listener = OwnerListener(channel, os.geteuid())
        context = WorkerContext(None)
        app = wrap_app(make_app(service, version, stop), 0, "asgi")  # type: ignore[arg-type]
        config = _http_config()

        async def converse(stream: PatientStream) -> None:
            listener.open.add(stream)
            try:
                async with trio.open_nursery() as both:
                    both.start_soon(_break_when_cancelled, stream)
                    await Conversation(app, config, context, ConnectionState({}), stream)  # type: ignore[arg-type]
                    both.cancel_scope.cancel()
            except Exception:
                log.exception("a connection ended in a way it should not")  # the others go on
            finally:
                listener.open.discard(stream)

        async with trio.open_nursery() as conversations:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(partial(trio.serve_listeners, converse, [listener], handler_nursery=conversations))
                task_status.started()
                await stop.wait()
                accepting.cancel_scope.cancel()
            await context.terminated.set()
            conversations.cancel_scope.deadline = trio.current_time() + grace_s


class Conversation(TCPServer):
    """One connection, over as soon as its client has left: hypercorn would wait `IDLE_TIMEOUT_S` for its next request."""

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    channel = listen(path)
    made = path.stat()
    try:
        yield channel
    finally:
        channel.close()
        with suppress(OSError):  # gone, or on a disk that refuses: the next start removes what nobody answers on
            there = path.stat()
            if (there.st_dev, there.st_ino) == (made.st_dev, made.st_ino):
                path.unlink()


async def _break_when_cancelled(stream: PatientStream) -> None:
    """Break a connection at cancellation: hypercorn shields what it sends, and would wait for its client."""
    try:
        await trio.sleep_forever()
    finally:
        await trio.aclose_forcefully(stream)


def _http_config() -> HttpConfig:
    config = HttpConfig()
    config.errorlog = log
    config.accesslog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.keep_alive_timeout = IDLE_TIMEOUT_S
    config.keep_alive_max_requests = 2**62
    return config
