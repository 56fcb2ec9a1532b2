"""The charter: a swarm's signed constitution. Which one of several holds is decided by `protocol.charter_chain`."""

import base64
import hashlib
from dataclasses import dataclass
from typing import ClassVar, Final

from protocol.codec import Body
from protocol.errors import Reason, Refused
from protocol.fields import Fields, Replicas, present
from protocol.identity import PeerId
from protocol.limits import (
    CHARTER_PREVIOUS,
    CHARTER_STEWARDS,
    CHARTERS,
    DIGEST_BYTES,
    KIND_BYTES,
    PEER_NAME_BYTES,
)
from protocol.stamp import ZERO, Stamp

SERVE: Final = ("anyone", "members")
DEFAULT_REPLICAS: Final = Replicas(2, 3)
DEFAULT_BOUNDS: Final = Replicas(1, 150)
DEFAULT_COUNTS: Final = ("ipfs", "kubo")
DEFAULT_TRASH_DAYS: Final = 30
TRASH_DAYS_MAX: Final = 3650


def charter_hash(raw: bytes) -> bytes:
    """Return the 32-byte hash by which a later charter names this signed one."""
    return hashlib.sha256(raw).digest()


def swarm_id_of(raw: bytes) -> str:
    """Return the swarm's id, from its first charter's signed bytes."""
    return swarm_id_text(charter_hash(raw))


def swarm_id_text(swarm: bytes) -> str:
    """Return the swarm's id, from the hash of its first charter: 52 lower-case base32 characters."""
    return base64.b32encode(swarm).decode().rstrip("=").lower()


def swarm_hash(swarm_id: str) -> bytes:
    """Return the 32-byte hash that a swarm's id stands for.

    Raises:
        Refused: the text is no swarm id.
    """
    try:
        found = base64.b32decode(swarm_id.upper() + "====")
    except ValueError as error:
        raise Refused(Reason.MALFORMED, f"no swarm id: {swarm_id[:64]!r}") from error
    if len(found) != DIGEST_BYTES or swarm_id_text(found) != swarm_id:
        raise Refused(Reason.MALFORMED, f"no swarm id: {swarm_id[:64]!r}")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Charter:
    """What the swarm has agreed on.

    Attributes:
        number: 1 for the first, then one more than the highest of `previous`.
        previous: hash of the charter it follows, then of those whose branches it settles, which heals a fork.
        name: what people call the swarm.
        stewards: ids of the keys that may sign charters, certificates, expulsions and purges.
        recovery: id of the key that outranks them, printed once by `init`.
        replicas: default factor.
        bounds: smallest `min` and largest `max` that a flow or pin may have.
        counts: kinds of backend whose copies count as replicas.
        backends: kinds that members may use at all; empty is any.
        serve: who may fetch blocks: `anyone` or `members`.
        trash_days: how long a trashed pin can be brought back.
        append_only: trashing and purging do not count.
        stamp: when it was written.
    """

    KIND: ClassVar[str] = "charter"

    number: int
    previous: tuple[bytes, ...] = ()
    name: str
    stewards: tuple[PeerId, ...]
    recovery: PeerId
    replicas: Replicas = DEFAULT_REPLICAS
    bounds: Replicas = DEFAULT_BOUNDS
    counts: tuple[str, ...] = DEFAULT_COUNTS
    backends: tuple[str, ...] = ()
    serve: str = "anyone"
    trash_days: int = DEFAULT_TRASH_DAYS
    append_only: bool = False
    stamp: Stamp = ZERO

    def clamp(self, replicas: Replicas | None) -> Replicas:
        """Return a factor within the bounds; None is the default."""
        wanted = self.replicas if replicas is None else replicas
        low = min(max(wanted.min, self.bounds.min), self.bounds.max)
        return Replicas(low, max(low, min(wanted.max, self.bounds.max)))

    def to_body(self) -> Body:
        return present(
            number=self.number,
            previous=self.previous,
            name=self.name,
            stewards=self.stewards,
            recovery=self.recovery,
            replicas=self.replicas,
            bounds=self.bounds,
            counts=self.counts,
            backends=self.backends,
            serve=self.serve,
            trash_days=self.trash_days,
            append_only=self.append_only,
            stamp=self.stamp,
        )

    @classmethod
    def from_body(cls, body: Body) -> "Charter":
        """Read a charter; raises `Refused` for any field out of bounds."""
        fields = Fields(body, cls.KIND)
        number = fields.integer("number", 1, CHARTERS)
        previous = fields.binaries("previous", DIGEST_BYTES, DIGEST_BYTES, CHARTER_PREVIOUS)
        if (number == 1) != (not previous):
            raise fields.refuse("previous", "is empty for the first charter and only for it")
        return cls(
            number=number,
            previous=previous,
            name=fields.text("name", PEER_NAME_BYTES),
            stewards=fields.peers("stewards", CHARTER_STEWARDS),
            recovery=fields.peer("recovery"),
            replicas=fields.needed("replicas", fields.replicas_or_none("replicas")),
            bounds=fields.needed("bounds", fields.replicas_or_none("bounds")),
            counts=fields.texts("counts", KIND_BYTES, 8),
            backends=fields.texts("backends", KIND_BYTES, 8),
            serve=fields.one_of("serve", SERVE),
            trash_days=fields.integer("trash_days", 0, TRASH_DAYS_MAX),
            append_only=fields.flag("append_only"),
            stamp=fields.stamp("stamp"),
        )
