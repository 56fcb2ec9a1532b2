"""The gateway as an ASGI application: which path is answered by whom, and what becomes of errors.

Every request ends in one of three ways: a whole answer, an error in a line, or, where an answer cannot be finished, a
cut connection, which the client notices because the announced length or the last chunk is missing.
"""

import logging
from pathlib import Path
from typing import Any

from node.gateway.answers import NOSNIFF, PREFLIGHT, HttpError, Receive, Reply, Send, header_list
from node.gateway.asked import Asked, Form, read_request, wanted_form
from node.gateway.content import Contents, http_error
from node.gateway.departure import while_connected
from node.gateway.metrics import Counts
from node.gateway.names import Names
from node.gateway.questions import Questions
from node.gateway.serving import Serving
from node.gateway.uploads import PREFIX, Uploads
from node.gateway.upstream import Upstream
from store.errors import StoreError

log = logging.getLogger("pinakothek.gateway")

READ_ONLY = {"Allow": "GET, HEAD, OPTIONS"}
BRIEFLY = b"public, max-age=60"
"""What a name stands for may change; the content that it leads to never does."""
TEXT = header_list({"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"}, NOSNIFF)


class Gateway:
    """Serves `/ipfs/`, `/images/`, `/healthz`, `/readyz` and `/metrics`, read-only, and takes `/uploads/`."""

    def __init__(self, contents: Contents, upstream: Upstream, counts: Counts, data_dir: Path) -> None:
        self._contents = contents
        self._upstream = upstream
        self._counts = counts
        self._questions = Questions()
        self._uploads = Uploads(data_dir, self._questions)
        self._names = Names(contents, upstream, self._questions)
        self._serving = Serving(contents)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, as uvicorn hands it over."""
        if scope["type"] != "http":
            return
        reply = Reply(send, head_only=scope["method"] == "HEAD")
        try:
            asked = read_request(scope)
            if asked.method in ("PUT", "OPTIONS") and asked.path.startswith(PREFIX):
                await self._uploads.answer(asked, receive, reply)
            elif not await self._serving.cached(asked, reply):
                await while_connected(receive, self._route(asked, reply))
        except HttpError as error:
            await self._fail(reply, error)
        except StoreError as error:
            await self._fail(reply, http_error(error))
        except Exception:  # a bug costs its request, not the others
            log.exception("%s %s", scope["method"], scope["path"][:200])
            await self._fail(reply, HttpError(500, "internal error; the log says more"))
        self._counts.answered(reply.status, reply.body_bytes)

    async def _fail(self, reply: Reply, error: HttpError) -> None:
        if not reply.status:
            await reply.error(error)
        else:
            self._counts.cut += 1
            log.info("an answer was cut short: %s", error)

    async def _route(self, asked: Asked, reply: Reply) -> None:
        path = asked.path
        if asked.method == "OPTIONS":
            await reply.head(204, header_list(READ_ONLY, PREFLIGHT))
        elif asked.method not in ("GET", "HEAD"):
            raise HttpError(405, f"{asked.method}: the gateway is read-only", READ_ONLY)
        elif path.startswith("/ipfs/"):
            await self._ipfs(asked, path.removeprefix("/ipfs/"), reply)
        elif path.startswith("/images/"):
            ref, _, variant = path.removeprefix("/images/").partition("/")
            await self._serving.content(asked, await self._names.target(ref, variant), reply, BRIEFLY)
        elif path == "/healthz":
            await reply.whole(200, TEXT, b"ok\n")
        elif path == "/readyz":
            ready = await self._questions.put(path, self._upstream.ready)
            await reply.whole(*(200, TEXT, b"ready\n") if ready else (503, TEXT, b"the daemon does not answer\n"))
        elif path == "/metrics":
            theirs = await self._questions.put(path, self._upstream.metrics)
            await reply.whole(200, TEXT, (theirs + self._counts.text()).encode())
        else:
            raise HttpError(404, f"{path[:200]}: no such page")

    async def _ipfs(self, asked: Asked, path: str, reply: Reply) -> None:
        form = wanted_form(asked)
        if "only-if-cached" in (asked.header(b"cache-control") or ""):
            await self._contents.check_here(path)
        if form is Form.FILE:
            await self._serving.content(asked, await self._contents.find(path), reply)
        elif form is Form.RAW:
            await self._serving.block(asked, await self._contents.locate(path), reply)
        else:
            await self._serving.archive(asked, await self._contents.locate(path), reply)
