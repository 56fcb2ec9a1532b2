"""The pin record: one flow wants one root, under a name, with everything a person would ask about it."""

import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar, Final

from protocol.codec import Body, encode_value
from protocol.fields import Fields, Replicas, present
from protocol.limits import (
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
)
from protocol.stamp import ZERO, Stamp

CONTENTS: Final = ("image", "dag")
_UNSAFE_PARTS: Final = frozenset({"", ".", ".."})
_RARE: Final = frozenset(
    ("replicas", "origin", "parent", "operations", "sources", "expires_ms", "trashed_ms", "deleted")
)
"""Fields that most pins do not have: to look for them one by one is a fifth of reading a pin."""
_PHASH: Final = re.compile(r"[0-9a-f]{16}")


def pin_id(flow: str, root: bytes, name: str | None = None, origin: str | None = None) -> bytes:
    """Return the id of the pin with which `flow` wants `root` under this name from this origin: 16 bytes."""
    return hashlib.sha256(encode_value(["pin", flow, root, name, origin])).digest()[:RECORD_ID_BYTES]


def safe_name(name: str) -> bool:
    """Tell whether a name may become a path below a folder: relative, no empty, `.` or `..` part, no NUL."""
    return "\0" not in name and _UNSAFE_PARTS.isdisjoint(name.split("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """This flow wants this root (DESIGN §5).

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

    id: bytes
    flow: str
    root: bytes
    backend: str = "ipfs"
    content: str = "image"
    original: bytes | None = None
    name: str | None = None
    media_type: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    phash: str | None = None
    size_bytes: int | None = None
    replicas: Replicas | None = None
    added_at_ms: int | None = None
    taken_at_ms: int | None = None
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
        fields = Fields(body, cls.KIND)
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
            **({} if _RARE.isdisjoint(body) else _rare(fields)),
        )


def _rare(fields: Fields) -> Body:
    return {
        "replicas": fields.replicas_or_none("replicas"),
        "origin": fields.text_or_none("origin", ORIGIN_BYTES),
        "parent": fields.cid_or_none("parent"),
        "operations": fields.texts("operations", OPERATION_BYTES, OPERATIONS),
        "sources": fields.addrs("sources", SOURCES),
        "expires_ms": fields.time_ms_or_none("expires_ms"),
        "trashed_ms": fields.time_ms_or_none("trashed_ms"),
        "deleted": fields.flag("deleted"),
    }


def _phash(fields: Fields) -> str | None:
    found = fields.text_or_none("phash", 16)
    if found is not None and not _PHASH.fullmatch(found):
        raise fields.refuse("phash", "is not 16 hexadecimal digits")
    return found
