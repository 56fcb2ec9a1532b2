"""`PUT /uploads/ID?token=…`: the bytes of an upload that somebody was given a place for, passed on to the daemon as they come.

The token is the right to do so, once. It is asked about before a byte is taken, so that who has none ties up nothing.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as SilenceError
from pathlib import Path
from typing import Any

from node.control.client import Control, quote, with_query
from node.errors import Failed, NotFound, RefusedByPolicy, TimedOut, Usage, UserError
from node.gateway.answers import NOSNIFF, Headers, HttpError, Receive, Reply, header_list
from node.gateway.asked import Asked
from node.gateway.questions import Questions

PREFIX = "/uploads/"
AT_ONCE = 8
SILENCE_S = 30.0
"""Longest silence of a client that still owes us bytes."""
ANSWER_TIMEOUT_S = 60.0
MAX_TOKEN_CHARS = 100
_ID = re.compile(r"[0-9a-z]{1,32}")
ANY_PAGE: Headers = [
    *NOSNIFF,
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"PUT, OPTIONS"),
    (b"access-control-allow-headers", b"Content-Type"),
    (b"cache-control", b"no-store"),
]
"""The token is what matters, not the page that has it."""


class Uploads:
    """Answers for the places of uploads.

    Args:
        data_dir: of the daemon.
    """

    def __init__(self, data_dir: Path, questions: Questions) -> None:
        self._data_dir = data_dir
        self._questions = questions
        self._threads = ThreadPoolExecutor(AT_ONCE, "uploads")
        self._busy = 0

    async def answer(self, asked: Asked, receive: Receive, reply: Reply) -> None:
        """Answer one request. Raises: HttpError."""
        if asked.method == "OPTIONS":
            await reply.head(204, ANY_PAGE)
            return
        upload_id, token = asked.path.removeprefix(PREFIX), asked.query.get("token", "")
        if not _ID.fullmatch(upload_id) or not 0 < len(token) <= MAX_TOKEN_CHARS:
            raise HttpError(404, "no such upload, or it has expired")
        path = f"/v1/uploads/{quote(upload_id)}"
        expected = await self._questions.put(f"upload {upload_id} {token}", lambda: self._expected(path, token))
        length = asked.header(b"content-length")
        if length is not None and length != str(expected["size_bytes"]):
            raise HttpError(400, f"{length[:20]} bytes, and {expected['size_bytes']} were said")
        if self._busy >= AT_ONCE:
            raise HttpError(503, "too many uploads at a time; try again soon", {"Retry-After": "5"})
        self._busy += 1
        try:
            loop = asyncio.get_running_loop()
            put = with_query(f"{path}/bytes", {"token": token})
            said = await loop.run_in_executor(self._threads, self._pass_on, put, lambda: _pieces(receive, loop))
        finally:
            self._busy -= 1
        await reply.whole(200, header_list({"Content-Type": "application/json"}, ANY_PAGE), json.dumps(said).encode())

    def _expected(self, path: str, token: str) -> dict[str, Any]:
        """What the daemon says of the place (in a thread). Raises: HttpError."""
        try:
            with Control(self._data_dir) as control:
                found: dict[str, Any] = control.call("GET", with_query(path, {"token": token}))
        except UserError as error:
            raise _as_http(error) from error
        return found

    def _pass_on(self, path: str, pieces: Callable[[], Iterator[bytes]]) -> dict[str, Any]:
        """Hand the bytes to the daemon as they come (in a thread). Raises: HttpError."""
        try:
            with Control(self._data_dir) as control:
                answer = control.open("PUT", path, upload=pieces(), timeout_s=ANSWER_TIMEOUT_S)
                said: dict[str, Any] = json.loads(answer.read())
        except UserError as error:
            raise _as_http(error) from error
        return said


def _pieces(receive: Receive, loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """A request's body, asked for from another thread; so the client is read no faster than the daemon takes it."""
    while True:
        waiting = asyncio.run_coroutine_threadsafe(_received(receive), loop)
        try:
            message = waiting.result(SILENCE_S)
        except SilenceError as error:
            waiting.cancel()
            raise HttpError(408, f"nothing came for {SILENCE_S:.0f} s") from error
        if message["type"] == "http.disconnect":
            raise HttpError(400, "the client left")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body", False):
            return


async def _received(receive: Receive) -> dict[str, Any]:
    return await receive()


def _as_http(error: UserError) -> HttpError:
    """How a refusal looks from outside."""
    if isinstance(error, NotFound):
        return HttpError(404, "no such upload, or it has expired")
    if isinstance(error, RefusedByPolicy | Failed | TimedOut | Usage):
        return HttpError(error.http_status, error.message)
    return HttpError(503, "the daemon does not answer", {"Retry-After": "5"})
