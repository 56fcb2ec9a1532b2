"""The heartbeat: what a peer says of itself, signed, every few seconds."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Final

from protocol.codec import Body
from protocol.fields import Fields, present
from protocol.identity import KeyPair, PeerId
from protocol.limits import (
    BACKENDS,
    BEAT_ADDRS,
    DIGEST_BYTES,
    KIND_BYTES,
    MEMBERS,
    PEER_NAME_BYTES,
    SIZE_BYTES_MAX,
    STORE_ID_BYTES,
    ZONE_BYTES,
)
from protocol.signed import open_kind, sign_body

STATES: Final = ("active", "draining", "away", "leaving", "recovering")
COUNT_MAX: Final = 2**53 - 1
LINK_NAME_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsSummary:
    """A peer's holdings at one moment of its own order.

    Attributes:
        epoch, seq: the order; a higher epoch replaces the whole set.
        count: elements (root, kind) in the set.
        digest: `protocol.holdings.digest_of` of the set, 32 bytes.
    """

    epoch: int
    seq: int
    count: int
    digest: bytes

    @property
    def order(self) -> tuple[int, int]:
        return self.epoch, self.seq

    def to_body(self) -> Body:
        return {"epoch": self.epoch, "seq": self.seq, "count": self.count, "digest": self.digest}

    @classmethod
    def from_fields(cls, fields: Fields) -> "HoldingsSummary":
        return cls(
            epoch=fields.integer("epoch", 0, COUNT_MAX),
            seq=fields.integer("seq", 0, COUNT_MAX),
            count=fields.integer("count", 0, COUNT_MAX),
            digest=fields.binary("digest", DIGEST_BYTES, DIGEST_BYTES),
        )


@lru_cache(8192)
def link_name(peer_id: str) -> bytes:
    """Return what a heartbeat calls a peer that its sender is connected to: 8 bytes.

    A full mesh of 100 names all of them in every beat: 5.2 KB of peer ids would be most of what gossip carries at rest.
    Who makes an id whose name is another's deceives about a link between itself and a third, which it could anyway.
    """
    return hashlib.sha256(peer_id.encode()).digest()[:LINK_NAME_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendReport:
    """One store of a peer.

    Attributes:
        kind: such as `ipfs`.
        store_id: random, written on first use; peers on one store share it.
        full: takes no new roots.
    """

    kind: str
    store_id: str
    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A heartbeat (DESIGN §5).

    Attributes:
        incarnation: grows with every start of the peer.
        seq: grows with every beat of an incarnation.
        clock_ms: the sender's wall clock, for the median only.
        state: of `STATES`.
        away_until_ms: by the sender's own clock, when `away`.
        name, zone: given by its operator; the zone may be None.
        capacity_bytes, used_bytes: of its stores together.
        backends: its stores, one a kind.
        addrs: multiaddrs it listens on, without `/p2p/`.
        links: members it is connected to, by their `link_name`, ascending.
        records_digest: of the records that count for it.
        holdings: None while it is recovering.
        version: of the program.
        repair_now_ms: when its operator last said `repair --now`, by its own clock, for a day after.
        unsynced_since_ms: by its own clock, when it has been away for so long that it has to sort out its records before
            anybody takes them over (`protocol.touch`); None while it is in touch.
    """

    KIND: ClassVar[str] = "beat"

    incarnation: int
    seq: int
    clock_ms: int
    state: str = "active"
    away_until_ms: int | None = None
    name: str
    zone: str | None = None
    capacity_bytes: int
    used_bytes: int
    backends: tuple[BackendReport, ...] = ()
    addrs: tuple[str, ...] = ()
    links: tuple[bytes, ...] = ()
    records_digest: bytes
    holdings: HoldingsSummary | None = None
    version: str
    repair_now_ms: int | None = None
    unsynced_since_ms: int | None = None

    @property
    def order(self) -> tuple[int, int]:
        return self.incarnation, self.seq

    def to_body(self) -> Body:
        return present(
            incarnation=self.incarnation,
            seq=self.seq,
            clock_ms=self.clock_ms,
            state=self.state,
            away_until_ms=self.away_until_ms,
            name=self.name,
            zone=self.zone,
            capacity_bytes=self.capacity_bytes,
            used_bytes=self.used_bytes,
            backends=[present(kind=b.kind, store_id=b.store_id, full=b.full) for b in self.backends],
            addrs=self.addrs,
            links=b"".join(self.links) or None,
            records_digest=self.records_digest,
            holdings=None if self.holdings is None else self.holdings.to_body(),
            version=self.version,
            repair_now_ms=self.repair_now_ms,
            unsynced_since_ms=self.unsynced_since_ms,
        )

    @classmethod
    def from_body(cls, body: Body) -> "Beat":
        """Read a heartbeat; raises `Refused` for any field out of bounds."""
        fields = Fields(body, cls.KIND)
        holdings = fields.inner("holdings")
        backends = tuple(_backend(entry) for entry in fields.inners("backends", BACKENDS))
        if len({backend.kind for backend in backends}) < len(backends):
            raise fields.refuse("backends", "names a kind twice")
        return cls(
            incarnation=fields.integer("incarnation", 0, COUNT_MAX),
            seq=fields.integer("seq", 0, COUNT_MAX),
            clock_ms=fields.needed("clock_ms", fields.time_ms_or_none("clock_ms")),
            state=fields.one_of("state", STATES),
            away_until_ms=fields.time_ms_or_none("away_until_ms"),
            name=fields.text("name", PEER_NAME_BYTES),
            zone=fields.text_or_none("zone", ZONE_BYTES),
            capacity_bytes=fields.integer("capacity_bytes", 0, SIZE_BYTES_MAX),
            used_bytes=fields.integer("used_bytes", 0, SIZE_BYTES_MAX),
            backends=backends,
            addrs=fields.addrs("addrs", BEAT_ADDRS),
            links=_links(fields),
            records_digest=fields.binary("records_digest", DIGEST_BYTES, DIGEST_BYTES),
            holdings=None if holdings is None else HoldingsSummary.from_fields(holdings),
            version=fields.text("version", 64),
            repair_now_ms=fields.time_ms_or_none("repair_now_ms"),
            unsynced_since_ms=fields.time_ms_or_none("unsynced_since_ms"),
        )


def _links(fields: Fields) -> tuple[bytes, ...]:
    packed = fields.binary_or_none("links", LINK_NAME_BYTES, MEMBERS * LINK_NAME_BYTES) or b""
    if len(packed) % LINK_NAME_BYTES:
        raise fields.refuse("links", f"is no multiple of {LINK_NAME_BYTES} bytes")
    names = tuple(packed[at : at + LINK_NAME_BYTES] for at in range(0, len(packed), LINK_NAME_BYTES))
    if any(low >= high for low, high in pairwise(names)):
        raise fields.refuse("links", "are not ascending")
    return names


def _backend(fields: Fields) -> BackendReport:
    return BackendReport(
        kind=fields.text("kind", KIND_BYTES),
        store_id=fields.text("store_id", STORE_ID_BYTES),
        full=fields.flag("full"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBeat:
    """A heartbeat with its sender, and the bytes that prove it to others."""

    beat: Beat
    sender: PeerId
    raw: bytes


def sign_beat(beat: Beat, key: KeyPair) -> bytes:
    """Return a heartbeat's signed bytes."""
    return sign_body(Beat.KIND, beat.to_body(), key)


def open_beat(raw: bytes) -> SignedBeat:
    """Read a heartbeat and check its signature.

    Raises:
        Refused: it is none, or its sender did not sign it.
    """
    body, sender = open_kind(raw, Beat.KIND)
    return SignedBeat(beat=Beat.from_body(body), sender=sender, raw=raw)
