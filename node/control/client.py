"""The smallest HTTP/1.1 client that can talk to a control socket, with the standard library's `socket` and `json` only.

`http.client` alone takes as long to import as the rest of the command line together; what is needed of HTTP here is a
request, a status, headers, and a body that has a length or comes in chunks. One `Control` is one connection, kept open
between calls and used by one thread.
"""

import json
import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from node.control.address import reachable, socket_path
from node.errors import BY_EXIT_CODE, Ambiguous, DaemonNotRunning, Failed, RefusedByPolicy, TimedOut, Usage, UserError

DEFAULT_TIMEOUT_S = 30.0
"""A guess: the daemon answers look-ups within milliseconds; one that does not for this long is stuck. Not less: on a busy
machine it may be slow, and whoever asks in a script cannot tell."""
KNOCK_S = 0.1
READ_BYTES = 256 * 1024
MAX_HEADER_BYTES = 64 * 1024


def quote(text: str) -> str:
    """`text` as one segment of a URL path or a query value."""
    return "".join(chr(b) if (chr(b).isalnum() and b < 128) or b in b"-._~" else f"%{b:02X}" for b in text.encode())


def with_query(path: str, query: Mapping[str, object]) -> str:
    """`path` with those of `query` that are not None."""
    pairs = [
        f"{name}={quote(str(value).lower() if isinstance(value, bool) else str(value))}"
        for name, value in query.items()
        if value is not None
    ]
    return f"{path}?{'&'.join(pairs)}" if pairs else path


class Answer:
    """A response whose body is still to be read. Read it to the end, or close the `Control` it came from."""

    def __init__(self, status: int, headers: Mapping[str, str], chunks: Iterator[bytes]) -> None:
        self.status = status
        self.headers = headers
        self.chunks = chunks

    def read(self) -> bytes:
        """The entire body."""
        return b"".join(self.chunks)

    def lines(self) -> Iterator[bytes]:
        """The body's lines as they come, without their ends."""
        rest = b""
        for chunk in self.chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            yield rest


class Control:
    """One connection to the daemon on a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.path = socket_path(data_dir)
        self._socket: socket.socket | None = None
        self._reader: IO[bytes] | None = None

    def __enter__(self) -> "Control":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._reader is not None:
            self._reader.close()
        if self._socket is not None:
            self._socket.close()
        self._reader = self._socket = None

    def call(self, method: str, path: str, body: object = None, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Any:
        """Ask, and return the JSON that was answered.

        Raises:
            UserError: of the kind that the daemon named.
        """
        raw = self.open(method, path, body, timeout_s=timeout_s).read()
        return json.loads(raw) if raw else None

    def open(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        upload: Iterable[bytes] | None = None,
        accept: str = "application/json",
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
    ) -> Answer:
        """Ask, and return the answer with its body unread.

        Args:
            body: sent as JSON unless None.
            upload: sent in chunks instead, not repeated should the connection prove stale.
            timeout_s: longest silence; None waits for ever, for a daemon that answers other questions.

        Raises:
            UserError: of the kind that the daemon named; `DaemonNotRunning`; `TimedOut`.
        """
        if timeout_s is None:
            self._make_sure()
        content = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", "Host: pinakothek", f"Accept: {accept}"]
        if upload is not None:
            head += ["Transfer-Encoding: chunked", "Content-Type: application/octet-stream"]
        elif body is not None:
            head += [f"Content-Length: {len(content)}", "Content-Type: application/json"]
        request = "\r\n".join([*head, "", ""]).encode() + content
        try:
            answer = self._exchange(request, upload, timeout_s)
        except TimeoutError as error:
            hint = self.why_silent()
            self.close()
            raise TimedOut(f"the daemon did not answer within {timeout_s:.0f} s", hint=hint) from error
        except OSError as error:
            self.close()
            raise Failed(
                f"the daemon closed the connection: {error.strerror or error}", hint="its log says why"
            ) from error
        if answer.status >= 400:
            raise error_from(answer)
        return answer

    def _make_sure(self) -> None:
        """Whether the daemon answers at all: one that is stopped would do what it is asked now whenever it goes on.

        Raises:
            UserError: as `open`.
        """
        self.call("GET", "/v1/config", timeout_s=DEFAULT_TIMEOUT_S)
        self.close()  # what follows is asked once: a connection that was used before may prove stale

    def _exchange(self, request: bytes, upload: Iterable[bytes] | None, timeout_s: float | None) -> Answer:
        reused = self._socket is not None
        for attempt in (0, 1):
            if self._socket is None:
                self._socket = connect(self.path, timeout_s)
                self._reader = self._socket.makefile("rb")
            assert self._reader is not None
            self._socket.settimeout(timeout_s)
            try:
                # A daemon that refuses a large body answers and hangs up while it is still being sent.
                with suppress(BrokenPipeError, ConnectionResetError):
                    self._socket.sendall(request)
                    if upload is not None:
                        send_chunks(self._socket, upload)
                return read_answer(self._reader, self)
            except (BrokenPipeError, ConnectionResetError, EOFError) as error:
                self.close()
                if not reused or attempt or upload is not None:
                    raise ConnectionError("no answer") from error
        raise AssertionError("unreachable")

    def why_silent(self) -> str:
        """What to do about a daemon that does not answer, by what the kernel says of its process."""
        pid = 0 if self._socket is None else listener_pid(self._socket)
        if pid and is_stopped(pid):
            return f"its process is stopped: kill -CONT {pid} lets it go on"
        who = f"its process, {pid}," if pid else "its process"
        return f"{who} is busy or stuck: the daemon's log says why; try again, or stop it and start it anew"


def listener_pid(channel: socket.socket) -> int:
    """The process that listens at the other end; 0 where the kernel does not say, as of another container's."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    pid, _, _ = struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(pid)


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped, as by SIGSTOP. Source: proc(5) on `/proc/pid/stat`."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] in ("T", "t")
    except (OSError, IndexError):
        return False


def connect(path: Path, timeout_s: float | None = None) -> socket.socket:
    """A socket connected to the daemon.

    Args:
        timeout_s: how long to wait while it takes in nobody: one that is stopped does not, and its queue may be full.

    Raises:
        DaemonNotRunning: nobody answers there.
        TimeoutError: it takes nobody in.
        RefusedByPolicy: the socket belongs to somebody else.
    """
    hint = "start it: pinakothek run"
    try:
        if os.stat(path).st_uid != os.geteuid():
            raise RefusedByPolicy(f"{path}: the daemon belongs to another user", hint="run this as the same user")
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            channel.settimeout(timeout_s)
            with reachable(path) as address:
                knock(channel, address, timeout_s)
        except BaseException:
            channel.close()
            raise
        return channel
    except TimeoutError:
        raise
    except PermissionError as error:
        raise RefusedByPolicy(f"{path}: permission denied", hint="run this as the daemon's user") from error
    except OSError as error:
        where = (
            f"no data directory {path.parent}" if not path.parent.is_dir() else f"no daemon answers on {path.parent}"
        )
        if not path.parent.is_dir():
            hint = "make it: pinakothek init"
        raise DaemonNotRunning(where, hint=hint) from error


def knock(channel: socket.socket, address: str, timeout_s: float | None) -> None:
    """Connect. Raises: OSError; TimeoutError: the queue of those who wait to be taken in stayed full."""
    until_s = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        try:
            return channel.connect(address)
        except BlockingIOError as error:  # at once, though the socket has a timeout: see connect(2) on EAGAIN
            if until_s is None or time.monotonic() >= until_s:
                raise TimeoutError from error
            time.sleep(KNOCK_S)


def send_chunks(channel: socket.socket, upload: Iterable[bytes]) -> None:
    """Send a body in HTTP chunks; stops quietly where the daemon has answered and hung up already."""
    try:
        for part in upload:
            if part:
                channel.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        channel.sendall(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return


def read_answer(reader: IO[bytes], control: Control) -> Answer:
    """Status and headers from `reader`; the body is read as `Answer.chunks` is.

    Raises:
        EOFError: the connection ended before a whole answer.
    """
    status_line, *lines = read_head(reader)
    status = int(status_line.split(" ", 2)[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        chunks = chunked(reader)
    else:
        chunks = counted(reader, int(headers.get("content-length", 0)))
    return Answer(status, headers, guarded(chunks, control, headers.get("connection", "").lower() == "close"))


def read_head(reader: IO[bytes]) -> list[str]:
    """The lines up to the empty one, at most `MAX_HEADER_BYTES`."""
    lines: list[str] = []
    room = MAX_HEADER_BYTES
    while room > 0:
        line = reader.readline(room)
        room -= len(line)
        if not line.endswith(b"\n"):
            break
        if line in (b"\r\n", b"\n"):
            if lines:
                return lines
            break
        lines.append(line.decode("latin-1").strip())
    raise EOFError("no answer")


def counted(reader: IO[bytes], length_bytes: int) -> Iterator[bytes]:
    """A body of a known length."""
    left = length_bytes
    while left:
        part = reader.read1(min(left, READ_BYTES))  # type: ignore[attr-defined]
        if not part:
            raise Failed(f"the answer broke off after {length_bytes - left} of {length_bytes} bytes")
        left -= len(part)
        yield part


def chunked(reader: IO[bytes]) -> Iterator[bytes]:
    """A body that comes in chunks, each as soon as it is whole."""
    while True:
        line = reader.readline(64)
        if not line.endswith(b"\n"):
            raise Failed("the answer broke off")
        size = int(line.split(b";")[0], 16)
        yield from counted(reader, size)
        reader.readline(64)
        if not size:
            return


def guarded(chunks: Iterator[bytes], control: Control, last: bool) -> Iterator[bytes]:
    """`chunks`, with the socket's failures told as ours; the connection is not used again after one."""
    try:
        yield from chunks
    except TimeoutError as error:
        hint = control.why_silent()
        control.close()
        raise TimedOut("the daemon stopped answering", hint=hint) from error
    except (OSError, Failed) as error:
        control.close()
        raise error if isinstance(error, Failed) else Failed(f"the answer broke off: {error}") from error
    if last:
        control.close()


def error_from(answer: Answer) -> UserError:
    """The error that an answer of 400 or more carries; see `node.control.failures`."""
    raw = answer.read()
    try:
        said = json.loads(raw)
        kind = BY_EXIT_CODE.get(said["exit_code"], Failed)
        if kind is Usage and said.get("candidates"):
            kind = Ambiguous
        return kind(
            said["error"], hint=said.get("hint"), candidates=said.get("candidates") or (), partial=said.get("partial")
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Failed(f"the daemon answered {answer.status}: {raw[:200].decode('utf-8', 'replace').strip()}")
