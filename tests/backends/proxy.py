"""A proxy in front of an HTTP server that makes its answers as bad as a test wants them."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal["", "500", "503", "403", "silence", "wrong bytes", "wrong content", "cut short", "hang up"]
"""Of every answer a byte is wrong, or only of those that are larger than any that is not a picture's: ids, listings and
directories are right, and none but its hash tells.
"""
CONTENT_BYTES = 4096
SKIPPED = ("transfer-encoding", "connection", "content-length", "date", "server", "keep-alive", "trailer")


class FaultProxy:
    """Passes everything on, until `fault` is set.

    Attributes:
        fault: what happens to answers from now on.
        left: after so many bad answers it is well again; None: never by itself.
        asked: requests so far.
    """

    def __init__(self, port: int) -> None:
        self.fault: Fault = ""
        self.left: int | None = None
        self.asked = 0
        self.closing = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                proxy._answer(self, port)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def next_fault(self) -> Fault:
        self.asked += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                return ""
        return self.fault

    def _answer(self, asked: BaseHTTPRequestHandler, port: int) -> None:
        content = _body(asked)
        fault = self.next_fault()
        if fault == "silence":
            self.closing.wait(60)
            return
        if fault == "hang up":
            return
        if fault in ("500", "503", "403"):
            _send(asked, int(fault), {"content-type": "text/plain"}, b"fault\n")
            return
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(asked.command, asked.path, content, dict(asked.headers.items()))
        answer = connection.getresponse()
        found = answer.read()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in SKIPPED}
        if asked.command == "HEAD":
            headers["content-length"] = answer.getheader("content-length") or "0"
        if fault == "wrong bytes" and answer.status < 300 and found:
            found = bytes([found[0] ^ 1]) + found[1:]
        if fault == "wrong content" and answer.status < 300 and len(found) > CONTENT_BYTES:
            found = found[:-1] + bytes([found[-1] ^ 1])
        connection.close()
        _send(asked, answer.status, headers, found, cut=fault == "cut short")


def _body(asked: BaseHTTPRequestHandler) -> bytes:
    if asked.headers.get("transfer-encoding", "").lower() == "chunked":
        pieces = []
        while size := int(asked.rfile.readline().split(b";")[0], 16):
            pieces.append(asked.rfile.read(size))
            asked.rfile.readline()
        asked.rfile.readline()
        del asked.headers["transfer-encoding"]
        return b"".join(pieces)
    return asked.rfile.read(int(asked.headers.get("content-length") or 0))


def _send(
    asked: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes, *, cut: bool = False
) -> None:
    asked.send_response(status)
    for name, value in headers.items():
        asked.send_header(name, value)
    if "content-length" not in headers:
        asked.send_header("content-length", str(len(content)))
    asked.end_headers()
    if asked.command != "HEAD":
        asked.wfile.write(content[: len(content) // 2] if cut else content)


@contextmanager
def fault_proxy(port: int) -> Iterator[FaultProxy]:
    """Run a proxy in front of 127.0.0.1:`port`."""
    proxy = FaultProxy(port)
    thread = threading.Thread(target=proxy.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join()
