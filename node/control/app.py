"""The control API as an ASGI application: the table of `routes`, a guard in front, one answer for every failure."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec
import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from node.control.client import quote
from node.control.endpoint import Asked, Endpoint, Form
from node.control.failures import ErrorAnswer, answer_for, as_user_error, log
from node.control.openapi import NDJSON, document
from node.control.queries import decode_body, decode_query
from node.control.routes import ENDPOINTS
from node.control.sse import EventStream
from node.control.streamed import Streamed, until_disconnect
from node.errors import Failed, TimedOut, Usage
from node.rows import Content, Page
from node.service import Service

MAX_JSON_BYTES = 1024 * 1024
"""A guess: the longest request names one path and twenty addresses."""
MAX_UPLOAD_BYTES = 16 * 1024**3
"""A guess: beyond any picture; what an image may weigh is the pipeline's to say."""
BODY_TIMEOUT_S = 30.0
"""Longest silence of a client that still owes us its body."""
PROMETHEUS = "text/plain; version=0.0.4"
HOSTS = frozenset({"pinakothek", "localhost"})
CLIENT_LEFT = 499
"""nginx's word for a client that closed before the answer; nobody reads it."""

Served = Response | Streamed | EventStream


def make_app(service: Service, version: str, stop: trio.Event) -> ASGIApp:
    """The application that serves `service`; streams of events end at `stop`."""
    described = json.dumps(document(version)).encode()

    async def openapi(_: Request) -> Response:
        return Response(described, media_type="application/json")

    paths = [Route("/v1/openapi.json", openapi, methods=["GET"])]
    paths += [Route(_routed(e.path), _handler(e, service, stop), methods=[e.method], name=e.name) for e in ENDPOINTS]
    app = Starlette(routes=paths, exception_handlers={HTTPException: _unrouted})
    app.router.redirect_slashes = False  # an empty REF is none, not the listing
    return Guard(app)


def _routed(path: str) -> str:
    """As starlette matches it: a name in a flow is a relative path, whose slashes come decoded."""
    return path.replace("{ref}", "{ref:path}")


class Guard:
    """Refuses what a browser could have been tricked into sending: a foreign `Host`, any `Origin` or `Referer`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        reason = refusal(scope["headers"])
        if reason is None:
            await self._pass_on(scope, receive, send)
            return
        body = ErrorAnswer(error=reason, hint=None, exit_code=5)
        await Response(msgspec.json.encode(body), 403, media_type="application/json")(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it. An expected failure in mid-answer cuts the connection: the client counts what it got."""
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            known = as_user_error(error)
            if known is None:
                raise
            log.warning("%s %s broke off: %s", scope["method"], scope["path"], known.message)


def refusal(headers: Any) -> str | None:
    """Why a request with these raw headers is not served; None where it is."""
    for name, value in headers:
        if name in (b"origin", b"referer"):
            return f"{name.decode()}: the control socket is not for web pages"
        if name == b"host" and value.decode("latin-1").partition(":")[0].lower() not in HOSTS:
            return f"host: {value.decode('latin-1')!r}: expected localhost"
    return None


async def _unrouted(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = {404: "no such resource", 405: "no such method here"}.get(error.status_code, str(error.detail).lower())
    body = ErrorAnswer(error=what, hint="see /v1/openapi.json", exit_code=Usage.exit_code)
    return Response(msgspec.json.encode(body), error.status_code, media_type="application/json")


def _handler(endpoint: Endpoint, service: Service, stop: trio.Event) -> Callable[[Request], Any]:
    async def handle(request: Request) -> Served:
        try:
            asked = await _decoded(endpoint, request)
            if endpoint.form is Form.EVENTS:
                return EventStream(endpoint.call(service, asked), stop)
            if endpoint.upload:
                return _answered(endpoint, await endpoint.call(service, asked))
            return await _while_wanted(request, lambda: _ask(endpoint, service, asked, request))
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is, the client gets an answer
            status, body = answer_for(error)
            return Response(msgspec.json.encode(body), status, media_type="application/json")

    return handle


async def _decoded(endpoint: Endpoint, request: Request) -> Asked:
    query = decode_query(endpoint.query, dict(request.query_params))
    body = None
    if endpoint.body is not None:
        body = decode_body(endpoint.body, await _read_json(request))
    return Asked(path=dict(request.path_params), query=query, body=body, upload=_chunks(request, MAX_UPLOAD_BYTES))


async def _read_json(request: Request) -> bytes:
    return b"".join([part async for part in _chunks(request, MAX_JSON_BYTES)])


async def _chunks(request: Request, limit_bytes: int) -> AsyncIterator[bytes]:
    """The body's parts as they come.

    Raises:
        Usage: there are more than `limit_bytes`.
        TimedOut: the client fell silent.
        Failed: the client left.
    """
    size = 0
    while True:
        with trio.move_on_after(BODY_TIMEOUT_S) as scope:
            message = await request.receive()
        if scope.cancelled_caught:
            raise TimedOut(f"body: nothing came for {BODY_TIMEOUT_S:.0f} s")
        if message["type"] == "http.disconnect":
            raise Failed(f"body: the client left after {size} bytes")
        part = message.get("body", b"")
        size += len(part)
        if size > limit_bytes:
            raise Usage(f"body: more than {limit_bytes} bytes")
        if part:
            yield part
        if not message.get("more_body", False):
            return


async def _while_wanted(request: Request, ask: Callable[[], Any]) -> Served:
    """Await `ask`, and cancel it should the client leave."""
    response: Served = Response(status_code=CLIENT_LEFT)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(until_disconnect, request.receive, nursery.cancel_scope)
        try:
            response = await ask()
        except Exception as error:  # noqa: BLE001 - carried out of the nursery, which would wrap it in a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return response


async def _ask(endpoint: Endpoint, service: Service, asked: Asked, request: Request) -> Served:
    answer = await endpoint.call(service, asked)
    if isinstance(answer, tuple):
        answer = Page(rows=answer)
    if endpoint.form is Form.LISTING and NDJSON in request.headers.get("accept", ""):
        return Streamed(_all_pages(endpoint, service, asked, answer), {"content-type": NDJSON})
    return _answered(endpoint, answer)


def _answered(endpoint: Endpoint, answer: Any) -> Served:
    if endpoint.form is Form.BYTES:
        return Response(answer, media_type="application/vnd.ipld.raw")
    if endpoint.form is Form.TEXT:
        return Response(answer, media_type=PROMETHEUS)
    if isinstance(answer, Content):
        headers = {
            "content-type": answer.media_type,
            "x-pinakothek-root": answer.root,
            "x-pinakothek-cid": answer.cid,
            "x-pinakothek-file": quote(answer.name),
        }
        if answer.size_bytes is not None:
            headers["content-length"] = str(answer.size_bytes)
        return Streamed(_all_chunks(answer), headers)
    return Response(msgspec.json.encode(answer), media_type="application/json")


async def _all_pages(
    endpoint: Endpoint, service: Service, asked: Asked, page: Page[Any]
) -> AsyncGenerator[bytes, None]:
    """Every row of a listing, one object a line; a failure on the way is the last line, an `ErrorAnswer`."""
    encoder = msgspec.json.Encoder()
    while True:
        yield encoder.encode_lines(page.rows)
        if page.next is None:
            return
        asked = replace(asked, query=replace(asked.query, after=page.next))
        try:
            page = await endpoint.call(service, asked)
        except Exception as error:  # noqa: BLE001 - the status is long sent; the client learns it from the last line
            yield encoder.encode(answer_for(error)[1]) + b"\n"
            return


async def _all_chunks(content: Content) -> AsyncGenerator[bytes, None]:
    async with aclosing(content.chunks) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            yield chunk
