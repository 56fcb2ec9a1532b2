"""Questions and answers between peers: one lasting stream per peer and protocol, many calls at once on it.

A call is a frame with a number, its answer a frame with the same number. One task reads a stream and one writes it;
callers only wait, so that a caller who gives up cuts nothing. When a stream dies its calls fail at once and the next call
opens another. One that has brought nothing for long although something was asked is given up for dead: were it stuck for
good, every later call would wait for it, too.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from protocol.net.errors import (
    MALFORMED,
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
_Outgoing = tuple[bytes, int]
"""A frame, and how many places among the calls that are answered at once it gives back when it is written."""

QUEUED_FRAMES = 64
"""Per stream and direction; a caller waits for room, a slow reader of answers is stopped by its own window."""

COALESCED_BYTES = 64 * 1024
"""Small frames are written together up to this."""

SILENT_S = 15.0
"""After so long without any answer a stream is given up by the first call that has waited in vain. Guess."""

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

    def __init__(self, host: Host, *, silent_s: float = SILENT_S) -> None:
        self._host = host
        self._silent_s = silent_s
        self._protocols: dict[str, _Protocol] = {}
        self._lines: dict[tuple[str, str], _Line] = {}
        self.asked: Counter[str] = Counter()
        self.on_refusal: Callable[[NetError], None] = lambda _: None

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
                as such, but one with code `MALFORMED` costs it the connection; another `NetError` or exception reaches
                it as a refusal with code "failed".
            concurrency: calls of one peer answered at once, until their answers are written; more are refused with code
                "busy".
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
            await _Served(entry, peer_id, busy, lambda error: self.on_refusal(error)).run(stream)

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
        self.asked[protocol] += 1
        line = self._lines.get((peer_id, protocol))
        if line is None or line.dead is not None:
            line = self._lines[peer_id, protocol] = _Line(entry)
            try:
                self._host.spawn(self._hold, line, peer_id)
            except NetError as error:
                raise RpcFailed(str(error)) from error
        with trio.move_on_after(timeout_s):
            return await line.ask(body)
        line.give_up_after(self._silent_s)
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
        self._silent_since_s: float | None = None  # the last answer, or the first question after all were answered
        self._life = trio.CancelScope()
        self._send, self._receive = trio.open_memory_channel[_Outgoing](QUEUED_FRAMES)

    async def ask(self, body: bytes) -> bytes:
        if self._silent_since_s is None:
            self._silent_since_s = trio.current_time()
        number, waiting = self._next, _Waiting()
        self._next += 1
        self._waiting[number] = waiting
        try:
            await self._send.send((call_frame(Call(number=number, body=body)), 0))
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
        with self._life:
            broken = await self._carry(stream)
        if broken is not None:
            raise broken
        self.die("the peer closed the stream")

    async def _carry(self, stream: Stream) -> BrokenProtocol | None:
        broken: BrokenProtocol | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_write_all, stream, self._receive, nursery.cancel_scope, lambda _: None)
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
        return broken

    def give_up_after(self, silent_s: float) -> None:
        """End a stream on which nothing has come for so long although something was asked."""
        silence_s = 0.0 if self._silent_since_s is None else trio.current_time() - self._silent_since_s
        if silence_s >= silent_s:
            self.die(f"no answer for {silence_s:.0f} s")
            self._life.cancel()

    def _take(self, answer: Answer) -> None:
        waiting = self._waiting.pop(answer.number, None)
        self._silent_since_s = trio.current_time() if self._waiting else None
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


class _Served:
    """The answering side of one stream: it reads no faster than the peer takes its answers."""

    def __init__(
        self, entry: _Protocol, peer_id: str, busy: Counter[str], on_refusal: Callable[[NetError], None]
    ) -> None:
        self._entry = entry
        self._on_refusal = on_refusal
        self._peer_id = peer_id
        self._busy = busy
        self._mine = 0
        self._broken: BrokenProtocol | None = None
        self._send, self._receive = trio.open_memory_channel[_Outgoing](QUEUED_FRAMES)

    async def run(self, stream: Stream) -> None:
        """Answer until the stream ends. Raises `BrokenProtocol` where the peer asks what no honest one would."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_write_all, stream, self._receive, nursery.cancel_scope, self._free)
                try:
                    while (call := await read_call(stream, self._entry.max_request_bytes)) is not None:
                        await self._take(call, nursery)
                except BrokenProtocol as error:
                    self._broken = error
                    self._on_refusal(error)
                except StreamEnded as error:
                    log.debug("calls of %s ended: %s", self._peer_id, error)
                nursery.cancel_scope.cancel()
        finally:
            self._free(self._mine)
        if self._broken is not None:
            raise self._broken

    async def _take(self, call: Call, nursery: trio.Nursery) -> None:
        if self._busy[self._peer_id] >= self._entry.concurrency:
            refusal = ("busy", f"{self._entry.concurrency} calls at once are the limit")
            await self._send.send((answer_frame(Answer(number=call.number, refusal=refusal)), 0))
            return
        self._mine += 1
        self._busy[self._peer_id] += 1
        nursery.start_soon(self._answer, call, nursery.cancel_scope)

    async def _answer(self, call: Call, life: trio.CancelScope) -> None:
        try:
            body = await self._entry.answer(self._peer_id, call.body)
            if len(body) > self._entry.max_response_bytes:
                raise RpcRefused("too large", f"{len(body)} bytes, the limit is {self._entry.max_response_bytes}")
            answer = Answer(number=call.number, body=body)
        except RpcRefused as refusal:
            self._on_refusal(refusal)
            if refusal.code == MALFORMED:
                self._broken = BrokenProtocol(f"{self._peer_id} asked {self._entry.name}: {refusal.detail}")
                life.cancel()
                return
            answer = Answer(number=call.number, refusal=(refusal.code, refusal.detail))
        except Exception:
            log.exception("answering %s to %s failed", self._entry.name, self._peer_id)
            answer = Answer(number=call.number, refusal=("failed", ""))
        await self._send.send((answer_frame(answer), 1))

    def _free(self, places: int) -> None:
        self._mine -= places
        self._busy[self._peer_id] -= places
        if not self._busy[self._peer_id]:
            del self._busy[self._peer_id]


async def _write_all(
    stream: Stream,
    receive: "trio.MemoryReceiveChannel[_Outgoing]",
    on_end: trio.CancelScope,
    written: Callable[[int], None],
) -> None:
    try:
        async for payload, places in receive:
            batch = bytearray(framed(payload))
            try:
                while len(batch) < COALESCED_BYTES:
                    payload, more = receive.receive_nowait()
                    batch += framed(payload)
                    places += more
            except (trio.WouldBlock, trio.EndOfChannel):
                pass
            await stream.write(bytes(batch))
            written(places)
    except (StreamEnded, trio.ClosedResourceError) as error:
        log.debug("writing to %s ended: %s", stream.peer_id, error)
        on_end.cancel()
