"""The listening side of the control socket: made so that only its owner can use it, and patient with nobody.

1. The directory is the owner's alone (0700) and the socket is born 0600: its mode is set before `bind`.
2. A socket file is taken over only when nobody answers on it; anything else at that path is left and reported.
3. Each connection's user is asked of the kernel (SO_PEERCRED) before a byte is read; another user's is closed.
4. A client that does not take its answer within a time is dropped, also while the daemon stops.
5. At most `MAX_CONNECTIONS`; whoever comes then is told so.
"""

import json
import logging
import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path

import trio

from node.control.address import reachable
from node.errors import Failed

log = logging.getLogger("pinakothek.control")

BACKLOG = 128
MAX_CONNECTIONS = 256
"""The command line uses eight; the gateway process and some watchers keep theirs open."""
SEND_TIMEOUT_S = 30.0
SLICE_BYTES = 64 * 1024


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, usable only by this user.

    Raises:
        Failed: a daemon answers there already, or `path` is something else than a socket.
    """
    folder = path.parent
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
    with reachable(path) as address:
        clear_stale(path, address)
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            os.fchmod(channel.fileno(), 0o600)
            channel.bind(address)
            channel.listen(BACKLOG)
            channel.setblocking(False)
        except OSError as error:
            channel.close()
            raise Failed(f"{path}: cannot listen: {(error.strerror or str(error)).lower()}") from error
    return channel


def clear_stale(path: Path, address: str) -> None:
    """Remove a socket that a dead daemon left at `path`.

    Raises:
        Failed: somebody answers there, or it is no socket.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Failed(f"{path}: not a socket", hint="move it away")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.settimeout(1.0)
        probe.connect(address)
    except (ConnectionRefusedError, FileNotFoundError):
        path.unlink(missing_ok=True)
    except OSError as error:
        raise Failed(f"{path}: in use: {(error.strerror or str(error)).lower()}") from error
    else:
        raise Failed(f"{path}: a daemon answers here already")
    finally:
        probe.close()


def peer_uid(channel: trio.socket.SocketType) -> int:
    """The user at the other end of a Unix socket, as the kernel knows it."""
    credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return int(uid)


def busy_answer() -> bytes:
    """What whoever is one too many is told, as `node.control.failures` words it."""
    said = {
        "error": f"{MAX_CONNECTIONS} connections to the daemon are open already",
        "hint": "end what keeps them open, such as `pinakothek events`",
        "exit_code": 1,
    }
    body = json.dumps(said).encode()
    head = (
        f"HTTP/1.1 503 \r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


class PatientStream(trio.abc.HalfCloseableStream):
    """A stream whose `send_all` gives up after `timeout_s` without progress.

    hypercorn shields its sends from cancellation, so that a client which does not read could otherwise keep the daemon
    from stopping. `socket` is there because hypercorn looks at it.
    """

    def __init__(self, stream: trio.SocketStream, timeout_s: float = SEND_TIMEOUT_S) -> None:
        self._stream = stream
        self._timeout_s = timeout_s
        self.socket = stream.socket

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        for start in range(0, len(view), SLICE_BYTES):
            with trio.move_on_after(self._timeout_s) as scope:
                await self._stream.send_all(view[start : start + SLICE_BYTES])
            if scope.cancelled_caught:
                await trio.aclose_forcefully(self._stream)
                raise trio.BrokenResourceError("the client does not read")

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class OwnerListener(trio.abc.Listener[PatientStream]):
    """Accepts connections of one user, at most `MAX_CONNECTIONS` at once; others are closed unread.

    Attributes:
        open: those that count; whoever serves them adds and discards them.
    """

    def __init__(self, channel: socket.socket, owner_uid: int) -> None:
        self._inner = trio.SocketListener(trio.socket.from_stdlib_socket(channel))
        self._owner_uid = owner_uid
        self.open: set[PatientStream] = set()

    async def accept(self) -> PatientStream:
        while True:
            stream = await self._inner.accept()
            if peer_uid(stream.socket) == self._owner_uid:
                if len(self.open) < MAX_CONNECTIONS:
                    return PatientStream(stream)
                log.warning("a connection is refused: %d are open already", MAX_CONNECTIONS)
                with suppress(OSError):  # it fits into the socket's buffer, or is not told
                    await stream.socket.send(busy_answer())
            await trio.aclose_forcefully(stream)

    async def aclose(self) -> None:
        await self._inner.aclose()
