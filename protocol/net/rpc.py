"""Questions and answers between peers: one lasting stream per peer and protocol, many calls at once on it.

A call is a frame with a number, its answer a frame with the same number. One task reads a stream and one writes it;
callers only wait, so that a caller who gives up cuts nothing. When a stream dies its calls fail at once and the next call
opens another.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from protocol.net.errors import (
    BrokenProtocol,
    MessageTooLarge,
    NetError,
    RpcFailed,
    RpcRefused,
    RpcTimeout,
    StreamEnded,
)
from protocol.net.host import Host
from protocol.net.rpc_frames import Answer, Call, answer_frame, call_frame, read_answer, read_call
from protocol.net.streams import Stream, framed

log = logging.getLogger("pinakothek.net.rpc")

Answerer = Callable[[str, bytes], Awaitable[bytes]]

QUEUED_FRAMES = 64
"""Per stream and direction; a caller waits for room, a slow reader of answers is stopped by its own window."""

COALESCED_BYTES = 64 * 1024
"""Small frames are written together up to this."""

OPEN_S = 10.0
"""For opening a stream; a call's own time-out usually ends first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Protocol:
    name: str
    answer: Answerer
    max_request_bytes: int
    max_response_bytes: int
    concurrency: int


class Rpc:
    """The calls of one host, in both directions."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._protocols: dict[str, _Protocol] = {}
        self._lines: dict[tuple[str, str], _Line] = {}

    def register(
        self,
        protocol: str,
        handler: Answerer,
        *,
        max_request_bytes: int,
        max_response_bytes: int,
        concurrency: int,
    ) -> None:
        """Answer calls of `protocol`, and know its limits for calling others.

        Args:
            handler: gets the caller's peer id and the body, returns the answer. `RpcRefused` from it reaches the caller
                as such; another `NetError` or exception reaches it as a refusal with code "failed".
            concurrency: calls of one peer answered at once; more are refused with code "busy".
        """
        entry = self._protocols[protocol] = _Protocol(
            name=protocol,
            answer=handler,
            max_request_bytes=max_request_bytes,
            max_response_bytes=max_response_bytes,
            concurrency=concurrency,
        )

        busy: Counter[str] = Counter()

        async def serve(peer_id: str, stream: Stream) -> None:
            await _serve(entry, peer_id, stream, busy)

        self._host.handle(protocol, serve)

    async def call(self, peer_id: str, protocol: str, body: bytes, timeout_s: float) -> bytes:
        """Ask a connected peer and return its answer.

        Raises:
            RpcTimeout: no answer within `timeout_s`.
            RpcRefused: the peer answered that it will not; codes are its handler's, "busy", "failed" or "too large".
            RpcFailed: there is no connection, or it died before the answer came.
            MessageTooLarge: `body` is larger than the protocol allows.
        """
        entry = self._protocols[protocol]
        if len(body) > entry.max_request_bytes:
            raise MessageTooLarge(f"{len(body)} bytes for {protocol}, the limit is {entry.max_request_bytes}")
        line = self._lines.get((peer_id, protocol))
        if line is None or line.dead is not None:
            line = self._lines[peer_id, protocol] = _Line(entry)
            try:
                self._host.spawn(self._hold, line, peer_id)
            except NetError as error:
                raise RpcFailed(str(error)) from error
        with trio.move_on_after(timeout_s):
            return await line.ask(body)
        raise RpcTimeout(f"{peer_id} did not answer {protocol} within {timeout_s:g} s")

    async def _hold(self, line: "_Line", peer_id: str) -> None:
        try:
            stream = await self._host.open_stream(peer_id, [line.protocol.name], OPEN_S)
            await line.run(stream)
        except BrokenProtocol as error:
            log.warning("%s: the connection is cut", error)
            line.die(str(error))
            await self._host.disconnect(peer_id)
        except NetError as error:
            line.die(str(error))
        finally:
            line.die("the host stopped")
            if self._lines.get((peer_id, line.protocol.name)) is line:
                del self._lines[peer_id, line.protocol.name]


class _Line:
    """The calling side of one stream."""

    def __init__(self, protocol: _Protocol) -> None:
        self.protocol = protocol
        self.dead: str | None = None
        self._next = 0
        self._waiting: dict[int, _Waiting] = {}
        self._send, self._receive = trio.open_memory_channel[bytes](QUEUED_FRAMES)

    async def ask(self, body: bytes) -> bytes:
        number, waiting = self._next, _Waiting()
        self._next += 1
        self._waiting[number] = waiting
        try:
            await self._send.send(call_frame(Call(number=number, body=body)))
            await waiting.done.wait()
        except trio.BrokenResourceError:
            pass
        finally:
            self._waiting.pop(number, None)
        if waiting.answer is None:
            raise RpcFailed(self.dead or "the stream ended")
        if waiting.answer.refusal is not None:
            raise RpcRefused(*waiting.answer.refusal)
        return waiting.answer.body

    async def run(self, stream: Stream) -> None:
        """Carry calls until the stream ends. Raises `BrokenProtocol` if the peer answers with rubbish."""
        broken: BrokenProtocol | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_write_all, stream, self._receive, nursery.cancel_scope)
            try:
                while (answer := await read_answer(stream, self.protocol.max_response_bytes)) is not None:
                    self._take(answer)
            except BrokenProtocol as error:
                broken = error
            except StreamEnded as error:
                self.die(str(error))
            finally:
                nursery.cancel_scope.cancel()
                await stream.reset()
        if broken is not None:
            raise broken
        self.die("the peer closed the stream")

    def _take(self, answer: Answer) -> None:
        waiting = self._waiting.pop(answer.number, None)
        if waiting is not None:
            waiting.answer = answer
            waiting.done.set()

    def die(self, reason: str) -> None:
        """Fail every call that waits, and refuse further ones. Only the first reason counts."""
        if self.dead is not None:
            return
        self.dead = reason
        self._receive.close()
        for waiting in self._waiting.values():
            waiting.done.set()


class _Waiting:
    def __init__(self) -> None:
        self.done = trio.Event()
        self.answer: Answer | None = None


async def _serve(entry: _Protocol, peer_id: str, stream: Stream, busy: Counter[str]) -> None:
    send, receive = trio.open_memory_channel[bytes](QUEUED_FRAMES)
    broken: BrokenProtocol | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_write_all, stream, receive, nursery.cancel_scope)
        try:
            while (call := await read_call(stream, entry.max_request_bytes)) is not None:
                if busy[peer_id] >= entry.concurrency:
                    refusal = ("busy", f"{entry.concurrency} calls at once are the limit")
                    await send.send(answer_frame(Answer(number=call.number, refusal=refusal)))
                    continue
                busy[peer_id] += 1
                nursery.start_soon(_answer, entry, peer_id, call, send, busy)
        except BrokenProtocol as error:
            broken = error
        except StreamEnded as error:
            log.debug("calls of %s ended: %s", peer_id, error)
        nursery.cancel_scope.cancel()
    if broken is not None:
        raise broken


async def _answer(
    entry: _Protocol, peer_id: str, call: Call, send: "trio.MemorySendChannel[bytes]", busy: Counter[str]
) -> None:
    try:
        body = await entry.answer(peer_id, call.body)
        if len(body) > entry.max_response_bytes:
            raise RpcRefused("too large", f"{len(body)} bytes, the limit is {entry.max_response_bytes}")
        answer = Answer(number=call.number, body=body)
    except RpcRefused as refusal:
        answer = Answer(number=call.number, refusal=(refusal.code, refusal.detail))
    except Exception:
        log.exception("answering %s to %s failed", entry.name, peer_id)
        answer = Answer(number=call.number, refusal=("failed", ""))
    finally:
        busy[peer_id] -= 1
        if not busy[peer_id]:
            del busy[peer_id]
    await send.send(answer_frame(answer))


async def _write_all(stream: Stream, receive: "trio.MemoryReceiveChannel[bytes]", on_end: trio.CancelScope) -> None:
    try:
        async for payload in receive:
            batch = bytearray(framed(payload))
            try:
                while len(batch) < COALESCED_BYTES:
                    batch += framed(receive.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                pass
            await stream.write(bytes(batch))
    except (StreamEnded, trio.ClosedResourceError) as error:
        log.debug("writing to %s ended: %s", stream.peer_id, error)
        on_end.cancel()
