"""Receipts and doubts on the wire: what keepers vouch for over `/pinakothek/replica/1`, each under its own signature."""

from dataclasses import dataclass
from typing import ClassVar

from protocol.codec import Body
from protocol.fields import Fields, present
from protocol.identity import KeyPair, PeerId
from protocol.limits import KIND_BYTES, REASON_BYTES, RECORD_BYTES, RECORD_ID_BYTES, STORE_ID_BYTES, TIME_MS_MAX
from protocol.signed import open_kind, sign_body
from protocol.stamp import Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptAsk:
    """Ask a keeper for its receipt once it has fsynced this pin (signed bytes) and the blocks of its root."""

    KIND: ClassVar[str] = "receipt_ask"

    pin: bytes

    def to_body(self) -> Body:
        return {"pin": self.pin}

    @classmethod
    def from_body(cls, body: Body) -> "ReceiptAsk":
        return cls(pin=Fields(body, cls.KIND).binary("pin", 1, RECORD_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptAnswer:
    """The keeper's signed receipt, or the reason why there is none."""

    KIND: ClassVar[str] = "receipt_answer"

    receipt: bytes | None = None
    reason: str | None = None

    def to_body(self) -> Body:
        return present(receipt=self.receipt, reason=self.reason)

    @classmethod
    def from_body(cls, body: Body) -> "ReceiptAnswer":
        fields = Fields(body, cls.KIND)
        return cls(
            receipt=fields.binary_or_none("receipt", 1, RECORD_BYTES),
            reason=fields.text_or_none("reason", REASON_BYTES),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A keeper's word that blocks and pin are on its disk.

    Attributes:
        root, kind: what and where.
        keeper: who signed it.
        store_id: of the store; copies with one store_id count once.
        pin_id: 16 bytes.
        stamp: of the version of the pin that was stored.
    """

    KIND: ClassVar[str] = "receipt"

    root: bytes
    kind: str
    keeper: PeerId
    store_id: str
    pin_id: bytes
    stamp: Stamp


def sign_receipt(receipt: Receipt, keeper: KeyPair) -> bytes:
    """Return a receipt's signed bytes.

    Raises:
        ValueError: the key is not the keeper's.
    """
    if receipt.keeper != keeper.peer_id:
        raise ValueError(f"a receipt of {receipt.keeper} cannot be signed by {keeper.peer_id}")
    body = present(
        root=receipt.root, kind=receipt.kind, store_id=receipt.store_id, pin_id=receipt.pin_id, stamp=receipt.stamp
    )
    return sign_body(Receipt.KIND, body, keeper)


def open_receipt(raw: bytes) -> Receipt:
    """Read a signed receipt; its `keeper` is who signed it.

    Raises:
        Refused: the bytes are none, or the signature is wrong.
    """
    body, keeper = open_kind(raw, Receipt.KIND)
    fields = Fields(body, Receipt.KIND)
    return Receipt(
        root=fields.cid("root"),
        kind=fields.text("kind", KIND_BYTES),
        keeper=keeper,
        store_id=fields.text("store_id", STORE_ID_BYTES),
        pin_id=fields.binary("pin_id", RECORD_ID_BYTES, RECORD_ID_BYTES),
        stamp=fields.stamp("stamp"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A challenger's word that a holder has not proven a root, to the root's other holders.

    Attributes:
        root, kind: what and where.
        holder: who could not prove it.
        challenger: who signed this.
        at_ms: wall-clock milliseconds of the challenge, for people only.
    """

    KIND: ClassVar[str] = "doubt"

    root: bytes
    kind: str
    holder: PeerId
    challenger: PeerId
    at_ms: int


def sign_doubt(doubt: Doubt, challenger: KeyPair) -> bytes:
    """Return a doubt's signed bytes.

    Raises:
        ValueError: the key is not the challenger's.
    """
    if doubt.challenger != challenger.peer_id:
        raise ValueError(f"a doubt of {doubt.challenger} cannot be signed by {challenger.peer_id}")
    body = present(root=doubt.root, kind=doubt.kind, holder=doubt.holder, at_ms=doubt.at_ms)
    return sign_body(Doubt.KIND, body, challenger)


def open_doubt(raw: bytes) -> Doubt:
    """Read a signed doubt; its `challenger` is who signed it.

    Raises:
        Refused: the bytes are none, or the signature is wrong.
    """
    body, challenger = open_kind(raw, Doubt.KIND)
    fields = Fields(body, Doubt.KIND)
    return Doubt(
        root=fields.cid("root"),
        kind=fields.text("kind", KIND_BYTES),
        holder=fields.peer("holder"),
        challenger=challenger,
        at_ms=fields.integer("at_ms", 0, TIME_MS_MAX),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtNotice:
    """Pass a signed doubt on to another holder of the root. Answered by an empty message."""

    KIND: ClassVar[str] = "doubt_notice"

    doubt: bytes

    def to_body(self) -> Body:
        return {"doubt": self.doubt}

    @classmethod
    def from_body(cls, body: Body) -> "DoubtNotice":
        return cls(doubt=Fields(body, cls.KIND).binary("doubt", 1, RECORD_BYTES))
