"""How holdings travel over gossip: signed deltas. What is missed is fetched with `protocol.sync_messages`."""

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from protocol.beat import COUNT_MAX, HoldingsSummary, open_beat
from protocol.codec import Body, decode_map
from protocol.errors import Reason, Refused
from protocol.fields import Fields, present
from protocol.identity import KeyPair, PeerId
from protocol.limits import CID_BYTES, HOLDINGS_PER_DELTA, KIND_BYTES, RECORD_BYTES
from protocol.signed import open_kind, sign_body

START_BYTES: Final = 8


class Element(NamedTuple):
    """What a peer holds complete: a root, on a kind of store."""

    root: bytes
    kind: str


class Change(NamedTuple):
    """One step of a peer's holdings: it has taken (`held`) or let go a root on a kind."""

    root: bytes
    kind: str
    held: bool


def element_of(entry: list[object], fields: Fields, name: str) -> Element:
    """Read an element that begins an entry of a list; raises `Refused` where it does not."""
    root, kind = entry[:2] if len(entry) >= 2 else (None, None)
    if type(root) is not bytes or not CID_BYTES[0] <= len(root) <= CID_BYTES[1]:
        raise fields.refuse(name, "has an entry without a root")
    if type(kind) is not str or not 0 < len(kind.encode()) <= KIND_BYTES:
        raise fields.refuse(name, "has an entry without a kind")
    return Element(root, kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsDelta:
    """The last changes of the sender's holdings; each has raised `seq` by one, the last to `after.seq`.

    Attributes:
        after: the set once they are applied.
        changes: in the order in which they happened.
    """

    KIND: ClassVar[str] = "holdings"

    after: HoldingsSummary
    changes: tuple[Change, ...]

    @property
    def first_seq(self) -> int:
        """The `seq` of the set before the first change."""
        return self.after.seq - len(self.changes)

    def to_body(self) -> Body:
        return {"after": self.after.to_body(), "changes": [list(change) for change in self.changes]}

    @classmethod
    def from_body(cls, body: Body) -> "HoldingsDelta":
        """Read a delta; raises `Refused` for any field out of bounds."""
        fields = Fields(body, cls.KIND)
        after = HoldingsSummary.from_fields(fields.needed("after", fields.inner("after")))
        changes = []
        for entry in fields.list_of("changes", list, HOLDINGS_PER_DELTA):
            element = element_of(entry, fields, "changes")
            if len(entry) != 3 or type(entry[2]) is not bool:
                raise fields.refuse("changes", "has an entry that is neither taken nor let go")
            changes.append(Change(element.root, element.kind, entry[2]))
        if len(changes) > after.seq:
            raise fields.refuse("changes", "are more than its seq")
        return cls(after=after, changes=tuple(changes))


def sign_delta(delta: HoldingsDelta, key: KeyPair) -> bytes:
    """Return a delta's signed bytes; raises `Refused` where it is too long for one message."""
    return sign_body(HoldingsDelta.KIND, delta.to_body(), key)


def open_delta(raw: bytes) -> tuple[HoldingsDelta, PeerId]:
    """Return a delta and its signer.

    Raises:
        Refused: the bytes are none, or the signature is wrong.
    """
    body, signer = open_kind(raw, HoldingsDelta.KIND)
    return HoldingsDelta.from_body(body), signer


def open_summary(raw: bytes) -> tuple[HoldingsSummary, PeerId]:
    """Return what a signed heartbeat or delta says of its signer's holdings.

    Raises:
        Refused: the bytes are neither, or say nothing of holdings.
    """
    payload = Fields(decode_map(raw, max_bytes=RECORD_BYTES), "statement").binary("p", 1, RECORD_BYTES)
    if decode_map(payload, max_bytes=RECORD_BYTES).get("k") == HoldingsDelta.KIND:
        delta, signer = open_delta(raw)
        return delta.after, signer
    opened = open_beat(raw)
    if opened.beat.holdings is None:
        raise Refused(Reason.MALFORMED, "a heartbeat without holdings")
    return opened.beat.holdings, opened.sender


@dataclass(frozen=True, slots=True, kw_only=True)
class LastHeardAsk:
    """A peer asks what others have last heard of it: before its first heartbeat after a start, and now and then.

    Attributes:
        incarnation, clock_ms: the start that asks, once it is numbered, and its wall clock; None before. The connection
            proves who asks, so a second daemon with one identity is found although gossip reaches only one of them.
        start: START_BYTES at random, drawn at each start: two that started at once may have numbered themselves alike.
    """

    KIND: ClassVar[str] = "last_heard_ask"

    incarnation: int | None = None
    clock_ms: int | None = None
    start: bytes | None = None

    def to_body(self) -> Body:
        return present(incarnation=self.incarnation, clock_ms=self.clock_ms, start=self.start)

    @classmethod
    def from_body(cls, body: Body) -> "LastHeardAsk":
        fields = Fields(body, cls.KIND)
        return cls(
            incarnation=fields.integer_or_none("incarnation", 0, COUNT_MAX),
            clock_ms=fields.time_ms_or_none("clock_ms"),
            start=fields.binary_or_none("start", START_BYTES, START_BYTES),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LastHeardAnswer:
    """The last incarnation and (epoch, seq) known here of the asker; None where nothing is.

    `cloned`: two daemons have spoken for the asker, and no higher epoch has come since.
    """

    KIND: ClassVar[str] = "last_heard"

    incarnation: int | None = None
    epoch: int | None = None
    seq: int | None = None
    cloned: bool = False

    def to_body(self) -> Body:
        return present(incarnation=self.incarnation, epoch=self.epoch, seq=self.seq, cloned=self.cloned)

    @classmethod
    def from_body(cls, body: Body) -> "LastHeardAnswer":
        fields = Fields(body, cls.KIND)
        return cls(
            incarnation=fields.integer_or_none("incarnation", 0, COUNT_MAX),
            epoch=fields.integer_or_none("epoch", 0, COUNT_MAX),
            seq=fields.integer_or_none("seq", 0, COUNT_MAX),
            cloned=fields.flag("cloned"),
        )
