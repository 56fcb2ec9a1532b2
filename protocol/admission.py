"""The records of who belongs: admissions, expulsions, departures, and the roles they speak of."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Final

from protocol.codec import Body
from protocol.fields import Fields, present
from protocol.identity import PeerId
from protocol.limits import KIND_BYTES, REASON_BYTES, RECORD_BYTES, RECORD_ID_BYTES
from protocol.stamp import ZERO, Stamp

CURATOR: Final = "curator"
KEEPER: Final = "keeper"
GUEST: Final = "guest"
ROLES: Final = (CURATOR, KEEPER, GUEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """This peer belongs to the swarm, in these roles (DESIGN §6).

    It stands if a steward signed it (`certificate` and `redemption` None), or by its chain: a steward's certificate
    and the redemption that the invite's key signed for this peer; then it does not matter who wrote it down.

    Attributes:
        peer: who is admitted.
        roles: of `curator`, `keeper`, `guest`, in that order.
        certificate, redemption: raw signed statements (`protocol.invite`).
        stamp: when it was written.
    """

    KIND: ClassVar[str] = "admission"

    peer: PeerId
    roles: tuple[str, ...]
    certificate: bytes | None = None
    redemption: bytes | None = None
    stamp: Stamp = ZERO

    @property
    def record_id(self) -> bytes:
        return hashlib.sha256(self.peer.encode() + (self.certificate or b"")).digest()[:RECORD_ID_BYTES]

    def to_body(self) -> Body:
        return present(
            peer=self.peer,
            roles=self.roles,
            certificate=self.certificate,
            redemption=self.redemption,
            stamp=self.stamp,
        )

    @classmethod
    def from_body(cls, body: Body) -> "Admission":
        """Read an admission; raises `Refused` for any field out of bounds. The chain is checked where it counts."""
        fields = Fields(body, cls.KIND)
        return cls(
            peer=fields.peer("peer"),
            roles=roles_of(fields),
            certificate=fields.binary_or_none("certificate", 1, RECORD_BYTES),
            redemption=fields.binary_or_none("redemption", 1, RECORD_BYTES),
            stamp=fields.stamp("stamp"),
        )


def roles_of(fields: Fields) -> tuple[str, ...]:
    """Read a non-empty set of roles, in the order of `ROLES` and without repeats."""
    found = fields.texts("roles", KIND_BYTES, len(ROLES))
    if not found or found != tuple(role for role in ROLES if role in found):
        raise fields.refuse("roles", f"are not some of {', '.join(ROLES)}, in that order")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Expulsion:
    """A steward's word that a peer belongs no more. Every admission certified before its stamp falls."""

    KIND: ClassVar[str] = "expulsion"

    peer: PeerId
    reason: str | None = None
    stamp: Stamp = ZERO

    @property
    def record_id(self) -> bytes:
        return hashlib.sha256(self.peer.encode()).digest()[:RECORD_ID_BYTES]

    def to_body(self) -> Body:
        return present(peer=self.peer, reason=self.reason, stamp=self.stamp)

    @classmethod
    def from_body(cls, body: Body) -> "Expulsion":
        fields = Fields(body, cls.KIND)
        reason = fields.text_or_none("reason", REASON_BYTES)
        return cls(peer=fields.peer("peer"), reason=reason, stamp=fields.stamp("stamp"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A peer's own word that it has left, or with `back` that it is here again."""

    KIND: ClassVar[str] = "departure"

    back: bool = False
    stamp: Stamp = ZERO

    def to_body(self) -> Body:
        return present(back=self.back, stamp=self.stamp)

    @classmethod
    def from_body(cls, body: Body) -> "Departure":
        fields = Fields(body, cls.KIND)
        return cls(back=fields.flag("back"), stamp=fields.stamp("stamp"))
