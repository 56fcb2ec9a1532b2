"""What `/pinakothek/query/1` carries: questions of members and guests, each with one answer of at most a page."""

from dataclasses import dataclass
from typing import ClassVar, Final

from protocol.codec import Body
from protocol.errors import Reason, Refused
from protocol.fields import Fields, Replicas, present
from protocol.identity import PeerId
from protocol.limits import (
    BEAT_ADDRS,
    COPIES_MAX,
    DIGEST_BYTES,
    FLOW_NAME_BYTES,
    KIND_BYTES,
    MEDIA_TYPE_BYTES,
    MEMBERS,
    NAME_BYTES,
    PEER_NAME_BYTES,
    QUERY_ROWS,
    REASON_BYTES,
    RECORD_BYTES,
    SIZE_BYTES_MAX,
    THUMB_BYTES,
    ZONE_BYTES,
)

CURSOR_BYTES: Final = 256
VARIANTS: Final = ("small", "medium", "large", "display")


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoAsk:
    """Who are you?"""

    KIND: ClassVar[str] = "info_ask"

    def to_body(self) -> Body:
        return {}

    @classmethod
    def from_body(cls, body: Body) -> "InfoAsk":
        return cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoAnswer:
    """What a peer says of itself.

    Attributes:
        name, zone, version: as in its heartbeat.
        swarm: hash of the first charter, 32 bytes.
        roots: how many it holds.
        capacity_bytes, used_bytes: of its stores together.
    """

    KIND: ClassVar[str] = "info"

    name: str
    zone: str | None
    version: str
    swarm: bytes
    roots: int
    capacity_bytes: int
    used_bytes: int

    def to_body(self) -> Body:
        return present(
            name=self.name,
            zone=self.zone,
            version=self.version,
            swarm=self.swarm,
            roots=self.roots,
            capacity_bytes=self.capacity_bytes,
            used_bytes=self.used_bytes,
        )

    @classmethod
    def from_body(cls, body: Body) -> "InfoAnswer":
        fields = Fields(body, cls.KIND)
        return cls(
            name=fields.text("name", PEER_NAME_BYTES),
            zone=fields.text_or_none("zone", ZONE_BYTES),
            version=fields.text("version", 64),
            swarm=fields.binary("swarm", DIGEST_BYTES, DIGEST_BYTES),
            roots=fields.integer("roots", 0, SIZE_BYTES_MAX),
            capacity_bytes=fields.integer("capacity_bytes", 0, SIZE_BYTES_MAX),
            used_bytes=fields.integer("used_bytes", 0, SIZE_BYTES_MAX),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RootAsk:
    """A question about one root: `what` is `stat` or `locate`."""

    KIND: ClassVar[str] = "root_ask"

    what: str
    root: bytes

    def to_body(self) -> Body:
        return {"what": self.what, "root": self.root}

    @classmethod
    def from_body(cls, body: Body) -> "RootAsk":
        fields = Fields(body, cls.KIND)
        return cls(what=fields.one_of("what", ("stat", "locate")), root=fields.cid("root"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StatAnswer:
    """A root's pins and copies.

    Attributes:
        pins: its live pins as signed bytes, as many as fit; empty if none wants it.
        replicas: the factor over all of them, None if none wants it.
        copies: replicas that count now.
    """

    KIND: ClassVar[str] = "stat"

    pins: tuple[bytes, ...]
    replicas: Replicas | None
    copies: int

    def to_body(self) -> Body:
        return present(pins=self.pins, replicas=self.replicas, copies=self.copies)

    @classmethod
    def from_body(cls, body: Body) -> "StatAnswer":
        fields = Fields(body, cls.KIND)
        return cls(
            pins=fields.binaries("pins", 1, RECORD_BYTES, QUERY_ROWS),
            replicas=fields.replicas_or_none("replicas"),
            copies=fields.integer("copies", 0, COPIES_MAX),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A peer that says that it holds a root complete."""

    peer: PeerId
    kind: str
    state: str
    zone: str | None
    addrs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocateAnswer:
    """Who holds a root, as the answering peer knows it."""

    KIND: ClassVar[str] = "holders"

    holders: tuple[Holder, ...]

    def to_body(self) -> Body:
        return present(
            holders=[present(peer=h.peer, kind=h.kind, state=h.state, zone=h.zone, addrs=h.addrs) for h in self.holders]
        )

    @classmethod
    def from_body(cls, body: Body) -> "LocateAnswer":
        entries = Fields(body, cls.KIND).inners("holders", MEMBERS)
        return cls(
            holders=tuple(
                Holder(
                    peer=entry.peer("peer"),
                    kind=entry.text("kind", KIND_BYTES),
                    state=entry.text("state", 16),
                    zone=entry.text_or_none("zone", ZONE_BYTES),
                    addrs=entry.addrs("addrs", BEAT_ADDRS),
                )
                for entry in entries
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAsk:
    """List images: of one flow or of all, from a cursor that an answer gave, at most `limit` rows."""

    KIND: ClassVar[str] = "list_ask"

    flow: str | None = None
    cursor: bytes | None = None
    limit: int = QUERY_ROWS

    def to_body(self) -> Body:
        return present(flow=self.flow, cursor=self.cursor, limit=self.limit)

    @classmethod
    def from_body(cls, body: Body) -> "ListAsk":
        fields = Fields(body, cls.KIND)
        return cls(
            flow=fields.text_or_none("flow", FLOW_NAME_BYTES),
            cursor=fields.binary_or_none("cursor", 1, CURSOR_BYTES),
            limit=fields.integer("limit", 1, QUERY_ROWS),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """One live pin that is not in the trash."""

    root: bytes
    flow: str
    name: str | None
    media_type: str | None
    size_bytes: int | None
    added_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAnswer:
    """A page of a listing; `cursor` goes on, None after the last."""

    KIND: ClassVar[str] = "list"

    rows: tuple[ListRow, ...]
    cursor: bytes | None = None

    def to_body(self) -> Body:
        rows = [
            present(
                root=row.root,
                flow=row.flow,
                name=row.name,
                media_type=row.media_type,
                size_bytes=row.size_bytes,
                added_at_ms=row.added_at_ms,
            )
            for row in self.rows
        ]
        return present(rows=rows, cursor=self.cursor)

    @classmethod
    def from_body(cls, body: Body) -> "ListAnswer":
        fields = Fields(body, cls.KIND)
        rows = tuple(
            ListRow(
                root=entry.cid("root"),
                flow=entry.text("flow", FLOW_NAME_BYTES),
                name=entry.text_or_none("name", NAME_BYTES, lines=True),
                media_type=entry.text_or_none("media_type", MEDIA_TYPE_BYTES),
                size_bytes=entry.integer_or_none("size_bytes", 0, SIZE_BYTES_MAX),
                added_at_ms=entry.time_ms_or_none("added_at_ms"),
            )
            for entry in fields.inners("rows", QUERY_ROWS)
        )
        return cls(rows=rows, cursor=fields.binary_or_none("cursor", 1, CURSOR_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterAsk:
    """What is your charter?"""

    KIND: ClassVar[str] = "charter_ask"

    def to_body(self) -> Body:
        return {}

    @classmethod
    def from_body(cls, body: Body) -> "CharterAsk":
        return cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterAnswer:
    """Every valid charter as signed bytes, the first one first, so that the branch in force can be checked."""

    KIND: ClassVar[str] = "charters"

    charters: tuple[bytes, ...]

    def to_body(self) -> Body:
        return present(charters=self.charters)

    @classmethod
    def from_body(cls, body: Body) -> "CharterAnswer":
        return cls(charters=Fields(body, cls.KIND).binaries("charters", 1, RECORD_BYTES, QUERY_ROWS))


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbAsk:
    """Give me a variant of an image, if you hold it."""

    KIND: ClassVar[str] = "thumb_ask"

    root: bytes
    variant: str = "small"

    def to_body(self) -> Body:
        return {"root": self.root, "variant": self.variant}

    @classmethod
    def from_body(cls, body: Body) -> "ThumbAsk":
        fields = Fields(body, cls.KIND)
        return cls(root=fields.cid("root"), variant=fields.one_of("variant", VARIANTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbAnswer:
    """The variant's file (WebP), or None."""

    KIND: ClassVar[str] = "thumb"

    image: bytes | None

    def to_body(self) -> Body:
        return present(image=self.image)

    @classmethod
    def from_body(cls, body: Body) -> "ThumbAnswer":
        return cls(image=Fields(body, cls.KIND).binary_or_none("image", 1, THUMB_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """The question was understood and will not be answered.

    Attributes:
        reason, detail: why.
        record: the signed record that forbids it, such as the asker's expulsion.
    """

    KIND: ClassVar[str] = "no"

    reason: Reason
    detail: str
    record: bytes | None = None

    def to_body(self) -> Body:
        return present(reason=self.reason.value, detail=self.detail[:REASON_BYTES], record=self.record)

    @classmethod
    def from_body(cls, body: Body) -> "NoAnswer":
        fields = Fields(body, cls.KIND)
        reason = Reason(fields.one_of("reason", tuple(reason.value for reason in Reason)))
        detail = fields.text("detail", 4 * REASON_BYTES, lines=True)
        return cls(reason=reason, detail=detail, record=fields.binary_or_none("record", 1, RECORD_BYTES))

    def refused(self) -> Refused:
        """Return it as the error that it is to the asker."""
        return Refused(self.reason, self.detail)
