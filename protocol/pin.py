"""The pin record: one flow wants one root, under a name, with everything a person would ask about it."""

import hashlib
import re
from dataclasses import make_dataclass
from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct, ValidationError, convert

from protocol.codec import Body, encode_value
from protocol.fields import Fields, Replicas, present
from protocol.limits import (
    CID_BYTES,
    COUNTER_MAX,
    FLOW_NAME_BYTES,
    KIND_BYTES,
    MEDIA_TYPE_BYTES,
    NAME_BYTES,
    OPERATION_BYTES,
    OPERATIONS,
    ORIGIN_BYTES,
    RECORD_ID_BYTES,
    SIZE_BYTES_MAX,
    SOURCES,
    TIME_MS_MAX,
)
from protocol.stamp import ZERO, Stamp

CONTENTS: Final = ("image", "dag")
_UNSAFE_PARTS: Final = frozenset({"", ".", ".."})
_NEEDED: Final = frozenset(("id", "flow", "root", "backend", "content", "stamp"))
_RARE: Final = frozenset(
    ("replicas", "origin", "parent", "operations", "sources", "expires_ms", "trashed_ms", "deleted")
)
"""Fields that most pins do not have."""
_PHASH: Final = re.compile(r"[0-9a-f]{16}")

_Id = Annotated[bytes, Meta(min_length=RECORD_ID_BYTES, max_length=RECORD_ID_BYTES)]
_Cid = Annotated[bytes, Meta(min_length=CID_BYTES[0], max_length=CID_BYTES[1])]
_FlowName = Annotated[str, Meta(min_length=1, max_length=FLOW_NAME_BYTES)]
_Kind = Annotated[str, Meta(min_length=1, max_length=KIND_BYTES)]
_Name = Annotated[str, Meta(min_length=1, max_length=NAME_BYTES)]
_MediaType = Annotated[str, Meta(min_length=1, max_length=MEDIA_TYPE_BYTES)]
_Pixels = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_Size = Annotated[int, Meta(ge=0, le=SIZE_BYTES_MAX)]
_AddedMs = Annotated[int, Meta(ge=0, le=TIME_MS_MAX)]
_TakenMs = Annotated[int, Meta(ge=-(2**62), le=2**62)]


def pin_id(flow: str, root: bytes, name: str | None = None, origin: str | None = None) -> bytes:
    """Return the id of the pin with which `flow` wants `root` under this name from this origin: 16 bytes."""
    return hashlib.sha256(encode_value(["pin", flow, root, name, origin])).digest()[:RECORD_ID_BYTES]


def safe_name(name: str) -> bool:
    """Tell whether a name may become a path below a folder: relative, no empty, `.` or `..` part, no NUL."""
    return "\0" not in name and _UNSAFE_PARTS.isdisjoint(name.split("/"))


class Pin(Struct, frozen=True, kw_only=True, gc=False):
    """This flow wants this root (DESIGN §5).

    A struct, made and read in a fifth of a dataclass's time, and passed over by the search for cycles, of which it is none.

    Attributes:
        id: 16 bytes, from `pin_id` or random.
        flow: name of the flow.
        root: binary CID of what is wanted.
        backend: kind of store it goes to.
        content: `image` (a directory as in DESIGN §3) or `dag`.
        original: binary CID of the bytes as received.
        name: relative path as added.
        phash: perceptual hash, 16 hexadecimal digits.
        size_bytes: of the whole DAG, a hint.
        replicas: the factor, or None to inherit the flow's.
        added_at_ms, taken_at_ms: wall-clock milliseconds.
        origin: URL or page it came from.
        parent: root it was edited from, with `operations` in order.
        sources: multiaddrs that may have the blocks.
        expires_ms: end of its life; None is never.
        trashed_ms: when it went to the trash; None is not.
        deleted: purged; counts with a steward's signature only.
        stamp: when this version was written.
    """

    KIND: ClassVar[str] = "pin"

    id: _Id
    flow: _FlowName
    root: _Cid
    backend: _Kind = "ipfs"
    content: str = "image"
    original: _Cid | None = None
    name: _Name | None = None
    media_type: _MediaType | None = None
    width_px: _Pixels | None = None
    height_px: _Pixels | None = None
    phash: str | None = None
    size_bytes: _Size | None = None
    replicas: Replicas | None = None
    added_at_ms: _AddedMs | None = None
    taken_at_ms: _TakenMs | None = None
    origin: str | None = None
    parent: bytes | None = None
    operations: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    expires_ms: int | None = None
    trashed_ms: int | None = None
    deleted: bool = False
    stamp: Stamp = ZERO

    @property
    def record_id(self) -> bytes:
        return self.id

    def to_body(self) -> Body:
        return present(
            id=self.id,
            flow=self.flow,
            root=self.root,
            backend=self.backend,
            content=self.content,
            original=self.original,
            name=self.name,
            media_type=self.media_type,
            width_px=self.width_px,
            height_px=self.height_px,
            phash=self.phash,
            size_bytes=self.size_bytes,
            replicas=self.replicas,
            added_at_ms=self.added_at_ms,
            taken_at_ms=self.taken_at_ms,
            origin=self.origin,
            parent=self.parent,
            operations=self.operations,
            sources=self.sources,
            expires_ms=self.expires_ms,
            trashed_ms=self.trashed_ms,
            deleted=self.deleted,
            stamp=self.stamp,
        )

    @classmethod
    def from_body(cls, body: Body) -> "Pin":
        """Read a pin; raises `Refused` for any field out of bounds."""
        return _plain(body) or cls._read(Fields(body, cls.KIND))

    @classmethod
    def _read(cls, fields: Fields) -> "Pin":
        """Any pin, field by field, with the reason where it is none."""
        name = fields.text_or_none("name", NAME_BYTES, lines=True)
        if name is not None and not safe_name(name):
            raise fields.refuse("name", "is no relative path")
        return cls(
            id=fields.binary("id", RECORD_ID_BYTES, RECORD_ID_BYTES),
            flow=fields.text("flow", FLOW_NAME_BYTES),
            root=fields.cid("root"),
            backend=fields.text("backend", KIND_BYTES),
            content=fields.one_of("content", CONTENTS),
            original=fields.cid_or_none("original"),
            name=name,
            media_type=fields.text_or_none("media_type", MEDIA_TYPE_BYTES),
            width_px=fields.integer_or_none("width_px", 1, 2**31 - 1),
            height_px=fields.integer_or_none("height_px", 1, 2**31 - 1),
            phash=_phash(fields),
            size_bytes=fields.integer_or_none("size_bytes", 0, SIZE_BYTES_MAX),
            added_at_ms=fields.time_ms_or_none("added_at_ms"),
            taken_at_ms=fields.integer_or_none("taken_at_ms", -(2**62), 2**62),
            stamp=fields.stamp("stamp"),
            replicas=fields.replicas_or_none("replicas"),
            origin=fields.text_or_none("origin", ORIGIN_BYTES),
            parent=fields.cid_or_none("parent"),
            operations=fields.texts("operations", OPERATION_BYTES, OPERATIONS),
            sources=fields.addrs("sources", SOURCES),
            expires_ms=fields.time_ms_or_none("expires_ms"),
            trashed_ms=fields.time_ms_or_none("trashed_ms"),
            deleted=fields.flag("deleted"),
        )


# `dataclasses.replace` and whoever prints a pin take it for a dataclass, as type checkers do, and as other records are.
for _name in ("__dataclass_fields__", "__dataclass_params__"):
    setattr(Pin, _name, getattr(make_dataclass("Pin", Pin.__struct_fields__), _name))


def _plain(body: Body) -> Pin | None:
    """The pin in a body as nearly all are: ASCII alone, no rare field, nothing wrong. None: `Pin._read` has to look.

    It takes nothing that `_read` would not read as the same pin, in a third of the time: there are pins by the million.
    """
    if not _RARE.isdisjoint(body) or not body.keys() >= _NEEDED:
        return None
    try:
        pin = convert(body, Pin, builtin_types=(bytes,))  # so that a text is not taken for bytes in base64
    except ValidationError:
        return None
    texts = pin.flow + pin.backend + (pin.name or "") + (pin.media_type or "")
    is_plain = (
        texts.isascii()
        and texts.isprintable()
        and pin.content in CONTENTS
        and (pin.name is None or safe_name(pin.name))
        and (pin.phash is None or _PHASH.fullmatch(pin.phash))
        and 0 <= pin.stamp.ms <= TIME_MS_MAX
        and 0 <= pin.stamp.counter <= COUNTER_MAX
    )
    return pin if is_plain else None


def _phash(fields: Fields) -> str | None:
    found = fields.text_or_none("phash", 16)
    if found is not None and not _PHASH.fullmatch(found):
        raise fields.refuse("phash", "is not 16 hexadecimal digits")
    return found
