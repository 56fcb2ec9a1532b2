"""Every message between members that is not signed by itself, and its way to bytes and back.

`read_message` is given the kinds that its protocol expects; everything else is either newer than we are, and ignored, or
refused.
"""

from collections.abc import Iterable
from typing import Protocol, Self, TypeVar

from protocol.audit_messages import AuditAnswer, AuditAsk
from protocol.beat import BackendReport, Beat, HoldingsSummary, SignedBeat, link_name, open_beat, sign_beat
from protocol.claim_messages import ClaimAnswer, ClaimAsk
from protocol.codec import Body, decode, encode
from protocol.holdings_messages import (
    Change,
    Element,
    HoldingsDelta,
    LastHeardAnswer,
    LastHeardAsk,
    open_delta,
    open_summary,
    sign_delta,
)
from protocol.join_messages import JoinAnswer, JoinAsk, MemberAddrs, RecordBatch
from protocol.lease_messages import LeaseAnswer, LeaseAsk, LeaseReturn, LeasesOver, open_lease, sign_lease
from protocol.limits import MESSAGE_BYTES
from protocol.query import (
    CharterAnswer,
    CharterAsk,
    Holder,
    InfoAnswer,
    InfoAsk,
    ListAnswer,
    ListAsk,
    ListRow,
    LocateAnswer,
    NoAnswer,
    RootAsk,
    StatAnswer,
    ThumbAnswer,
    ThumbAsk,
)
from protocol.receipt_messages import (
    Doubt,
    DoubtNotice,
    Receipt,
    ReceiptAnswer,
    ReceiptAsk,
    open_doubt,
    open_receipt,
    sign_doubt,
    sign_receipt,
)
from protocol.similar_messages import SimilarAnswer, SimilarAsk
from protocol.sync_messages import HoldingsAt, SyncCompare, SyncElements, SyncFetch, SyncRanges, SyncRecords, SyncWant

__all__ = [
    "QUERY_ANSWERS",
    "QUERY_ASKS",
    "REPLICA_ASKS",
    "SYNC_ANSWERS",
    "SYNC_ASKS",
    "AuditAnswer",
    "AuditAsk",
    "BackendReport",
    "Beat",
    "Change",
    "CharterAnswer",
    "CharterAsk",
    "ClaimAnswer",
    "ClaimAsk",
    "Doubt",
    "DoubtNotice",
    "Element",
    "Holder",
    "HoldingsAt",
    "HoldingsDelta",
    "HoldingsSummary",
    "InfoAnswer",
    "InfoAsk",
    "JoinAnswer",
    "JoinAsk",
    "LastHeardAnswer",
    "LastHeardAsk",
    "LeaseAnswer",
    "LeaseAsk",
    "LeaseReturn",
    "LeasesOver",
    "ListAnswer",
    "ListAsk",
    "ListRow",
    "LocateAnswer",
    "MemberAddrs",
    "Message",
    "NoAnswer",
    "Receipt",
    "ReceiptAnswer",
    "ReceiptAsk",
    "RecordBatch",
    "RootAsk",
    "SignedBeat",
    "SimilarAnswer",
    "SimilarAsk",
    "StatAnswer",
    "SyncCompare",
    "SyncElements",
    "SyncFetch",
    "SyncRanges",
    "SyncRecords",
    "SyncWant",
    "ThumbAnswer",
    "ThumbAsk",
    "link_name",
    "open_beat",
    "open_delta",
    "open_doubt",
    "open_lease",
    "open_receipt",
    "open_summary",
    "read_message",
    "sign_beat",
    "sign_delta",
    "sign_doubt",
    "sign_lease",
    "sign_receipt",
    "write_message",
]


class Message(Protocol):
    """What has a kind and a bounded body."""

    @property
    def KIND(self) -> str: ...

    def to_body(self) -> Body: ...

    @classmethod
    def from_body(cls, body: Body) -> Self: ...


M = TypeVar("M", bound=Message)

SYNC_ASKS = (SyncCompare, SyncWant, SyncFetch, LastHeardAsk)
SYNC_ANSWERS = (SyncRanges, SyncRecords, SyncElements, LastHeardAnswer, NoAnswer)
REPLICA_ASKS = (LeaseAsk, LeaseReturn, LeasesOver, ReceiptAsk, DoubtNotice, ClaimAsk)
QUERY_ASKS = (InfoAsk, RootAsk, ListAsk, CharterAsk, SimilarAsk, ThumbAsk)
QUERY_ANSWERS = (InfoAnswer, StatAnswer, LocateAnswer, ListAnswer, CharterAnswer, SimilarAnswer, ThumbAnswer, NoAnswer)


def write_message(message: Message) -> bytes:
    """Return a message's bytes.

    Raises:
        Refused: it holds what cannot be encoded.
    """
    return encode(message.KIND, message.to_body())


def read_message(raw: bytes, expected: Iterable[type[M]], *, max_bytes: int = MESSAGE_BYTES) -> M | None:
    """Read a message of one of the expected types.

    Returns:
        The message, or None for a kind that is not among them.

    Raises:
        Refused: the bytes are no message, or a field of it is out of bounds.
    """
    kinds = {str(kind.KIND): kind for kind in expected}
    opened = decode(raw, kinds, max_bytes=max_bytes)
    return None if opened is None else kinds[opened[0]].from_body(opened[1])
