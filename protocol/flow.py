"""The flow record: a named stream of images and its policy."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

from protocol.codec import Body
from protocol.fields import Fields, Replicas, present
from protocol.identity import PeerId
from protocol.limits import (
    FLOW_MEDIA_TYPES,
    FLOW_NAME_BYTES,
    KIND_BYTES,
    MEDIA_TYPE_BYTES,
    MEMBERS,
    RECORD_ID_BYTES,
    SIZE_BYTES_MAX,
)
from protocol.stamp import ZERO, Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A named stream of images with its policy, signed by a curator (DESIGN §5).

    Attributes:
        name: at most 128 bytes, unique in the swarm.
        backend: kind of store new images go to; None is the peer's default.
        replicas: the factor, or None to inherit the charter's default.
        max_root_bytes: largest root it takes, None is no limit of its own.
        max_px: most pixels (width × height) of an original, None is no limit of its own.
        media_types: of the originals it takes; empty is every one.
        strip: location and camera data are taken out of originals before they go in.
        adders: peers that may add; empty is every curator.
        deleted: the flow is gone.
        stamp: when this version was written.
    """

    KIND: ClassVar[str] = "flow"

    name: str
    backend: str | None = None
    replicas: Replicas | None = None
    max_root_bytes: int | None = None
    max_px: int | None = None
    media_types: tuple[str, ...] = ()
    strip: bool = False
    adders: tuple[PeerId, ...] = ()
    deleted: bool = False
    stamp: Stamp = ZERO

    @property
    def record_id(self) -> bytes:
        return hashlib.sha256(self.name.encode()).digest()[:RECORD_ID_BYTES]

    def to_body(self) -> Body:
        return present(
            name=self.name,
            backend=self.backend,
            replicas=self.replicas,
            max_root_bytes=self.max_root_bytes,
            max_px=self.max_px,
            media_types=self.media_types,
            strip=self.strip,
            adders=self.adders,
            deleted=self.deleted,
            stamp=self.stamp,
        )

    @classmethod
    def from_body(cls, body: Body) -> "Flow":
        """Read a flow; raises `Refused` for any field out of bounds."""
        fields = Fields(body, cls.KIND)
        return cls(
            name=fields.text("name", FLOW_NAME_BYTES),
            backend=fields.text_or_none("backend", KIND_BYTES),
            replicas=fields.replicas_or_none("replicas"),
            max_root_bytes=fields.integer_or_none("max_root_bytes", 1, SIZE_BYTES_MAX),
            max_px=fields.integer_or_none("max_px", 1, SIZE_BYTES_MAX),
            media_types=fields.texts("media_types", MEDIA_TYPE_BYTES, FLOW_MEDIA_TYPES),
            strip=fields.flag("strip"),
            adders=fields.peers("adders", MEMBERS),
            deleted=fields.flag("deleted"),
            stamp=fields.stamp("stamp"),
        )
