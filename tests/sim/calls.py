"""Questions and answers over the simulated network: a stand-in for `protocol.net.rpc.Rpc`."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import trio

from protocol.net.errors import MessageTooLarge, NetError, RpcFailed, RpcRefused, RpcTimeout
from tests.sim.host import SimHost

Answerer = Callable[[str, bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A protocol that a host speaks."""

    answer: Answerer
    max_request_bytes: int
    max_response_bytes: int
    concurrency: int
    busy: Counter[str] = field(default_factory=Counter)


class Call:
    """One question under way."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.body = b""
        self.error: RpcFailed | None = None

    def end(self, body: bytes, error: RpcFailed | None) -> None:
        if not self.done.is_set():
            self.body, self.error = body, error
            self.done.set()


class SimRpc:
    """The calls of one host, in both directions."""

    def __init__(self, host: SimHost) -> None:
        self._host = host
        self._network = host.network
        self._waiting: dict[Call, str] = {}
        host.on_disconnected.append(self._lost)

    def register(
        self, protocol: str, handler: Answerer, *, max_request_bytes: int, max_response_bytes: int, concurrency: int
    ) -> None:
        self._host.protocols[protocol] = Registered(
            answer=handler, max_request_bytes=max_request_bytes, max_response_bytes=max_response_bytes,
            concurrency=concurrency,
        )  # fmt: skip

    async def call(self, peer_id: str, protocol: str, body: bytes, timeout_s: float) -> bytes:
        limit_bytes = self._host.protocols[protocol].max_request_bytes
        if len(body) > limit_bytes:
            raise MessageTooLarge(f"{len(body)} bytes for {protocol}, the limit is {limit_bytes}")
        await trio.lowlevel.checkpoint()
        if not self._network.linked(self._host.peer_id, peer_id):
            raise RpcFailed(f"not connected to {peer_id}")
        call = Call()
        self._waiting[call] = peer_id
        self._carry(self._host.peer_id, peer_id, partial(self._arrive, peer_id, protocol, body, call))
        try:
            with trio.move_on_after(timeout_s):
                await call.done.wait()
        finally:
            del self._waiting[call]
        if call.error is not None:
            raise call.error
        if not call.done.is_set():
            raise RpcTimeout(f"{peer_id} did not answer {protocol} within {timeout_s:g} s")
        return call.body

    def _carry(self, frm: str, to: str, arrive: Callable[[], None]) -> None:
        """A message over an existing connection: there after a while, or lost."""
        network = self._network
        if network.random.random() >= network.conditions.call_loss:
            network.later(network.latency_s(), lambda: arrive() if network.passes(frm, to) else None)

    def _arrive(self, peer_id: str, protocol: str, body: bytes, call: Call) -> None:
        there = self._network.hosts[peer_id]
        here = self._host.peer_id
        entry: Registered | None = there.protocols.get(protocol)
        if entry is None or not there.lets_in(here, protocol):
            self._carry(peer_id, here, partial(call.end, b"", RpcFailed(f"{peer_id} does not speak {protocol}")))
            return
        there.come_in(partial(self._answer, entry, there, body, call))

    async def _answer(self, entry: Registered, there: SimHost, body: bytes, call: Call) -> None:
        """Run by the answering host."""
        here = self._host.peer_id
        refusal: RpcFailed | None = None
        answer = b""
        if entry.busy[here] >= entry.concurrency:
            refusal = RpcRefused("busy", f"{entry.concurrency} calls at once are the limit")
        else:
            entry.busy[here] += 1
            try:
                answer = await entry.answer(here, body)
            except RpcRefused as error:
                refusal = error
            except NetError as error:
                refusal = RpcRefused("failed", str(error))
            finally:
                entry.busy[here] -= 1
        if len(answer) > entry.max_response_bytes:
            answer, refusal = b"", RpcRefused("too large", f"{len(answer)} bytes")
        if self._network.hosts.get(there.peer_id) is there:
            self._carry(there.peer_id, here, partial(call.end, answer, refusal))

    def _lost(self, peer_id: str) -> None:
        for call, to in self._waiting.items():
            if to == peer_id:
                call.end(b"", RpcFailed(f"the connection to {peer_id} is gone"))
