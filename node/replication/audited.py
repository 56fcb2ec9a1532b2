"""The side that is audited: prove a root to whoever holds it too, a little at a time for each.

What cannot be read is found here first: `on_unreadable` has it retracted, and healed, before anybody doubts it.
"""

import logging
from collections.abc import Callable

import trio

from node.replication.proving import blocks_of, prove
from node.replication.turns import Turns
from node.swarm.names import AUDIT
from protocol.audit_messages import AuditAnswer, AuditAsk
from protocol.errors import Refused
from protocol.messages import read_message, write_message
from protocol.net.errors import MALFORMED, RpcRefused
from protocol.net.rpc import Rpc
from store.cid import cid_text
from store.errors import StoreError
from store.store import Store

log = logging.getLogger("pinakothek.audit")

MAX_REQUEST_BYTES = 1024
MAX_RESPONSE_BYTES = 1024
CONCURRENCY = 8
"""Challenges of one member that wait their turn; more are refused as busy."""
PROOFS_AT_ONCE = 2
IDLE_SHARE = 4
"""For each second that a proof for a member takes, its next one of that kind waits so many: none takes more than a fifth
of a thread for each kind, whatever it asks for."""
RECHECKS_WAITING = 64
"""Roots that wait to be hashed whole; whoever asks for more is answered without it."""


class Audited:
    """Proves what this peer holds.

    Args:
        holds: whether this peer advertises a root on a kind.
        on_unreadable: blocks of held roots were found missing or bad.

    Attributes:
        answered: proofs given since the start.
        unable: challenges since the start that this peer could not answer with a proof.
    """

    def __init__(
        self, rpc: Rpc, store: Store, me: str, *, holds: Callable[[bytes, str], bool], on_unreadable: Callable[[], None]
    ) -> None:
        self._store = store
        self._me = me
        self._holds = holds
        self._on_unreadable = on_unreadable
        self._proofs = Turns(PROOFS_AT_ONCE)
        self._turns: dict[tuple[str, str], _Turn] = {}
        self._waiting: dict[tuple[bytes, str], None] = {}
        self._wake = trio.Event()
        self.answered = 0
        self.unable = 0
        rpc.register(
            AUDIT,
            self._answer,
            max_request_bytes=MAX_REQUEST_BYTES,
            max_response_bytes=MAX_RESPONSE_BYTES,
            concurrency=CONCURRENCY,
        )

    async def _answer(self, peer_id: str, body: bytes) -> bytes:
        try:
            ask = read_message(body, (AuditAsk,))
        except Refused as error:
            raise RpcRefused(MALFORMED, str(error)) from error
        if ask is None:
            raise RpcRefused("unknown", "not a question of this version")
        return write_message(await self.prove(peer_id, ask))

    async def prove(self, asker: str, ask: AuditAsk) -> AuditAnswer:
        """Answer a challenge when it is the asker's turn."""
        if not self._holds(ask.root, ask.kind):
            return AuditAnswer(reason="this peer does not hold the root")
        if ask.recheck:
            self.recheck(ask.root, ask.kind)
        # Of each kind on its own: where a backend is slow it is only the copies there that stay unproven.
        turn = self._turns.setdefault((asker, ask.kind), _Turn())
        turn.waiting += 1
        try:
            async with turn.lock:
                await trio.sleep_until(turn.next_s)
                async with self._proofs.of(ask.kind):
                    began_s = trio.current_time()
                    try:
                        get = self._store.reader(ask.kind)
                        proof = await trio.to_thread.run_sync(prove, ask.nonce, self._me, ask.root, get)
                    finally:
                        now_s = trio.current_time()
                        turn.next_s = now_s + IDLE_SHARE * (now_s - began_s)
        except StoreError as error:
            log.warning("%s cannot be proven to %s: %s", cid_text(ask.root), asker, error)
            self.unable += 1
            self._on_unreadable()
            return AuditAnswer(reason="a block of the root cannot be read")
        finally:
            turn.waiting -= 1
            self._forget_idle((asker, ask.kind), turn)
        self.answered += 1
        return AuditAnswer(proof=proof)

    def _forget_idle(self, whose: tuple[str, str], turn: "_Turn") -> None:
        if not turn.waiting and turn.next_s <= trio.current_time():
            self._turns.pop(whose, None)

    def recheck(self, root: bytes, kind: str) -> None:
        """Hash every block of a root soon: somebody has reason to doubt it."""
        if len(self._waiting) < RECHECKS_WAITING:
            self._waiting[root, kind] = None
            self._wake.set()

    async def run(self) -> None:
        """Hash what was asked for, one root at a time, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._waiting:
                copy = next(iter(self._waiting))
                await self._rehash(*copy)
                del self._waiting[copy]

    async def _rehash(self, root: bytes, kind: str) -> None:
        began_s = trio.current_time()
        try:
            async with self._proofs.of(kind):
                await trio.to_thread.run_sync(read_whole, self._store, root, kind)
        except StoreError as error:
            log.warning("%s is doubted, and rightly so: %s", cid_text(root), error)
            self._on_unreadable()
        await trio.sleep(IDLE_SHARE * (trio.current_time() - began_s))


def read_whole(store: Store, root: bytes, kind: str) -> tuple[int, int]:
    """Hash every block of a root on a kind; how many, and their bytes (in a thread). Raises: StoreError: one cannot be read."""
    count = size_bytes = 0
    get = store.reader(kind)
    for cid in blocks_of(root, get):
        size_bytes += len(get(cid))
        count += 1
    return count, size_bytes


class _Turn:
    """One member's turns: one proof at a time, and a pause after each."""

    def __init__(self) -> None:
        self.lock = trio.Lock()
        self.next_s = 0.0
        self.waiting = 0
