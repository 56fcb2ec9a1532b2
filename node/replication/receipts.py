"""Receipts: what `add --wait N` counts. A keeper signs one once the root's blocks and the pin are on its disk.

The asker sends its pin along, so that the keeper need not wait for gossip; the keeper plans the root at once and answers
when it holds it. Gossip alone never counts.
"""

import logging
from collections.abc import Callable, Sequence

import trio

from node.swarm.knowledge import Knowledge
from node.swarm.names import REPLICA
from protocol.errors import Reason, Refused
from protocol.identity import KeyPair, PeerId
from protocol.messages import read_message, write_message
from protocol.net.errors import NetError
from protocol.net.rpc import Rpc
from protocol.pin import Pin
from protocol.receipt_messages import Receipt, ReceiptAnswer, ReceiptAsk, open_receipt, sign_receipt
from protocol.records import Signed, parse_record

log = logging.getLogger("pinakothek.receipts")

PATIENCE_S = 20.0
"""How long a keeper lets one ask wait for its fetch; the asker then asks again."""
CALL_TIMEOUT_S = 30.0
LOOK_AGAIN_S = 2.0
"""Owners may change while a wait goes on: a peer dies, another takes its place."""


class Receipts:
    """Both sides, for one peer.

    Args:
        owners_of: peers that are to hold a root on a kind, first those that placement names.
        store_id: of this peer's store of a kind.
    """

    def __init__(
        self,
        rpc: Rpc,
        knowledge: Knowledge,
        key: KeyPair,
        *,
        store_id: Callable[[str], str],
        owners_of: Callable[[bytes, str], Sequence[str]],
    ) -> None:
        self._rpc = rpc
        self._knowledge = knowledge
        self._key = key
        self._store_id = store_id
        self._owners_of = owners_of

    async def collect(self, pin: Signed[Pin], count: int, deadline_s: float) -> int:
        """Wait until `count` distinct stores hold the pin's root durably, this one included if it does.

        Returns:
            How many do; fewer than `count` only when `deadline_s` (`trio.current_time`) has passed.
        """
        stores = _Stores()
        asked: set[str] = set()
        with trio.move_on_at(deadline_s):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._count_own, pin.record, stores)
                while len(stores.ids) < count:
                    for owner in self._owners_of(pin.record.root, pin.record.backend):
                        if owner not in asked and owner != self._knowledge.me:
                            asked.add(owner)
                            nursery.start_soon(self._ask, owner, pin, stores, asked)
                    with trio.move_on_after(LOOK_AGAIN_S):
                        await stores.until_more()
                nursery.cancel_scope.cancel()
        return len(stores.ids)

    async def _count_own(self, pin: Pin, stores: "_Stores") -> None:
        await self._knowledge.until_held(pin.root, pin.backend)
        stores.add(self._store_id(pin.backend))

    async def _ask(self, owner: str, pin: Signed[Pin], stores: "_Stores", asked: set[str]) -> None:
        try:
            ask = write_message(ReceiptAsk(pin=pin.raw))
            answer = read_message(await self._rpc.call(owner, REPLICA, ask, CALL_TIMEOUT_S), (ReceiptAnswer,))
            if answer is not None and answer.receipt is not None:
                receipt = open_receipt(answer.receipt)
                if _is_for(receipt, pin, owner):
                    stores.add(receipt.store_id)
                    return
            log.debug("no receipt of %s: %s", owner, answer.reason if answer else "unknown answer")
        except (NetError, Refused) as error:
            log.debug("no receipt of %s: %s", owner, error)
        await trio.sleep(LOOK_AGAIN_S)
        asked.discard(owner)

    async def answer(self, ask: ReceiptAsk) -> ReceiptAnswer:
        """Answer an ask: take the pin in, and sign once its root is here.

        Raises:
            Refused: the record is no pin, or is forged.
        """
        signed = parse_record(ask.pin)
        if signed is None or not isinstance(signed.record, Pin):
            raise Refused(Reason.MALFORMED, "a receipt is for a pin")
        pin = signed.record
        await self._knowledge.records.accept([ask.pin])
        counts = self._knowledge.records.counting.get(signed.key)
        if counts is None or counts.stamp < signed.stamp:
            return ReceiptAnswer(reason="the pin does not count here")
        if not await self._knowledge.records.are_durable():
            return ReceiptAnswer(reason="the disk refuses the pin")
        with trio.move_on_after(PATIENCE_S):
            await self._knowledge.until_held(pin.root, pin.backend)
        if not self._knowledge.own.holds(pin.root, pin.backend):
            return ReceiptAnswer(reason="the root is not here yet")
        receipt = Receipt(
            root=pin.root,
            kind=pin.backend,
            keeper=PeerId(self._key.peer_id),
            store_id=self._store_id(pin.backend),
            pin_id=pin.id,
            stamp=counts.stamp,
        )
        return ReceiptAnswer(receipt=sign_receipt(receipt, self._key))


class _Stores:
    """The stores that confirmed, and a way to wait for another."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self._news = trio.Event()

    def add(self, store_id: str) -> None:
        self.ids.add(store_id)
        self._news.set()
        self._news = trio.Event()

    async def until_more(self) -> None:
        await self._news.wait()


def _is_for(receipt: Receipt, pin: Signed[Pin], keeper: str) -> bool:
    record = pin.record
    return (
        (receipt.root, receipt.kind, receipt.keeper, receipt.pin_id) == (record.root, record.backend, keeper, record.id)
    ) and receipt.stamp >= record.stamp
