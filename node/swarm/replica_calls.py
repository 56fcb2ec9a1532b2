"""`/pinakothek/replica/1`: one protocol for leases, receipts, doubts and claims; each kind of ask goes to who answers it."""

from collections.abc import Callable

from node.replication.claims import Claims
from node.replication.receipts import Receipts
from node.replication.releasing import Releasing
from node.swarm.names import REPLICA
from protocol.claim_messages import ClaimAsk
from protocol.errors import Refused
from protocol.lease_messages import LeaseAsk, LeaseReturn, LeasesOver
from protocol.limits import LEASE_PINS, PAGE_BYTES, RECORD_BYTES
from protocol.messages import read_message, write_message
from protocol.net.errors import MALFORMED, RpcRefused
from protocol.net.rpc import Rpc
from protocol.receipt_messages import DoubtNotice, ReceiptAsk

MAX_REQUEST_BYTES = LEASE_PINS * RECORD_BYTES // 8
"""Sixty-four pins of usual length; a root with more and longer ones sends those that fit."""
CONCURRENCY = 64


def answer_replica_calls(
    rpc: Rpc, releasing: Releasing, receipts: Receipts, claims: Claims, *, on_doubt: Callable[[str, DoubtNotice], None]
) -> None:
    """Register the protocol. `on_doubt` takes in what a member doubts."""

    async def answer(peer_id: str, body: bytes) -> bytes:
        try:
            ask = read_message(body, (LeaseAsk, LeaseReturn, LeasesOver, ReceiptAsk, DoubtNotice, ClaimAsk))
        except Refused as error:
            raise RpcRefused(MALFORMED, str(error)) from error
        try:
            if isinstance(ask, LeaseAsk):
                return write_message(await releasing.answer(peer_id, ask))
            if isinstance(ask, LeaseReturn):
                await releasing.take_back(peer_id, ask)
                return b""
            if isinstance(ask, LeasesOver):
                await releasing.asker_started(peer_id)
                return b""
            if isinstance(ask, ReceiptAsk):
                return write_message(await receipts.answer(ask))
            if isinstance(ask, ClaimAsk):
                return write_message(await claims.answer(ask))
            if isinstance(ask, DoubtNotice):
                on_doubt(peer_id, ask)
                return b""
        except Refused as error:
            raise RpcRefused("refused", str(error)) from error
        raise RpcRefused("unknown", "not a question of this version")

    rpc.register(
        REPLICA,
        answer,
        max_request_bytes=MAX_REQUEST_BYTES,
        max_response_bytes=2 * PAGE_BYTES,
        concurrency=CONCURRENCY,
    )
