"""Leases on the wire: what an asker and an owner of a root say to each other over `/pinakothek/replica/1`."""

from dataclasses import dataclass
from typing import ClassVar, Final

from protocol.codec import Body
from protocol.fields import Fields, present
from protocol.identity import KeyPair, PeerId
from protocol.leases import Lease
from protocol.limits import (
    COPIES_MAX,
    KIND_BYTES,
    LEASE_PINS,
    NONCE_BYTES,
    PAGE_BYTES,
    REASON_BYTES,
    RECORD_BYTES,
    TIME_MS_MAX,
)
from protocol.signed import open_kind, sign_body

_LEASE: Final = "lease"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseAsk:
    """Ask an owner to keep a root, so that the asker may let its own copy go.

    Attributes:
        nonce: 32 random bytes; the owner's proof of holding covers them.
        root, kind: what and where.
        to: the asker; the same peer that the connection has proven.
        max: the factor that the asker knows.
        pins: the asker's live pins of the root, as signed bytes.
        until_ms: until when, wall-clock milliseconds.
    """

    KIND: ClassVar[str] = "lease_ask"

    nonce: bytes
    root: bytes
    kind: str
    to: PeerId
    max: int
    pins: tuple[bytes, ...]
    until_ms: int

    def to_body(self) -> Body:
        return present(
            nonce=self.nonce,
            root=self.root,
            kind=self.kind,
            to=self.to,
            max=self.max,
            pins=self.pins,
            until_ms=self.until_ms,
        )

    @classmethod
    def from_body(cls, body: Body) -> "LeaseAsk":
        fields = Fields(body, cls.KIND)
        return cls(
            nonce=fields.binary("nonce", NONCE_BYTES, NONCE_BYTES),
            root=fields.cid("root"),
            kind=fields.text("kind", KIND_BYTES),
            to=fields.peer("to"),
            max=fields.integer("max", 1, COPIES_MAX),
            pins=fields.binaries("pins", 1, RECORD_BYTES, LEASE_PINS),
            until_ms=fields.integer("until_ms", 0, TIME_MS_MAX),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseAnswer:
    """The owner's answer.

    Attributes:
        granted: yes or no.
        reason: why not.
        lease: the signed lease (`sign_lease`).
        proof: audit proof over the ask's nonce, which the asker checks against its own bytes.
        pins: live pins of the root that the asker did not send, as signed bytes: why the owner knows a higher `max`.
    """

    KIND: ClassVar[str] = "lease_answer"

    granted: bool
    reason: str | None = None
    lease: bytes | None = None
    proof: bytes | None = None
    pins: tuple[bytes, ...] = ()

    def to_body(self) -> Body:
        return present(granted=self.granted, reason=self.reason, lease=self.lease, proof=self.proof, pins=self.pins)

    @classmethod
    def from_body(cls, body: Body) -> "LeaseAnswer":
        fields = Fields(body, cls.KIND)
        answer = cls(
            granted=fields.flag("granted"),
            reason=fields.text_or_none("reason", REASON_BYTES),
            lease=fields.binary_or_none("lease", 1, RECORD_BYTES),
            proof=fields.binary_or_none("proof", 1, PAGE_BYTES),
            pins=fields.binaries("pins", 1, RECORD_BYTES, LEASE_PINS),
        )
        if answer.granted and (answer.lease is None or answer.proof is None):
            raise fields.refuse("granted", "is true without lease and proof")
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseReturn:
    """The asker needs a lease no more; the owner is free again. Answered by an empty message."""

    KIND: ClassVar[str] = "lease_return"

    nonce: bytes
    root: bytes
    kind: str

    def to_body(self) -> Body:
        return {"nonce": self.nonce, "root": self.root, "kind": self.kind}

    @classmethod
    def from_body(cls, body: Body) -> "LeaseReturn":
        fields = Fields(body, cls.KIND)
        return cls(
            nonce=fields.binary("nonce", NONCE_BYTES, NONCE_BYTES),
            root=fields.cid("root"),
            kind=fields.text("kind", KIND_BYTES),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasesOver:
    """Every lease that the asker was given before it started is over: it was killed before it gave them back.

    Sent to each owner before anything is asked of it. Answered by an empty message.
    """

    KIND: ClassVar[str] = "leases_over"

    def to_body(self) -> Body:
        return {}

    @classmethod
    def from_body(cls, body: Body) -> "LeasesOver":
        return cls()


def sign_lease(lease: Lease, owner: KeyPair) -> bytes:
    """Return a lease's signed bytes.

    Raises:
        ValueError: the key is not the lease's owner's.
    """
    if lease.owner != owner.peer_id:
        raise ValueError(f"a lease of {lease.owner} cannot be signed by {owner.peer_id}")
    body = present(
        root=lease.root, kind=lease.kind, to=lease.to, nonce=lease.nonce, max=lease.max, until_ms=lease.until_ms
    )
    return sign_body(_LEASE, body, owner)


def open_lease(raw: bytes) -> Lease:
    """Read a signed lease; its `owner` is who signed it.

    Raises:
        Refused: the bytes are none, or the signature is wrong.
    """
    body, owner = open_kind(raw, _LEASE)
    fields = Fields(body, _LEASE)
    return Lease(
        root=fields.cid("root"),
        kind=fields.text("kind", KIND_BYTES),
        owner=owner,
        to=fields.peer("to"),
        nonce=fields.binary("nonce", NONCE_BYTES, NONCE_BYTES),
        max=fields.integer("max", 1, COPIES_MAX),
        until_ms=fields.integer("until_ms", 0, TIME_MS_MAX),
    )
