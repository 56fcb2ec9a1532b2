"""What `/pinakothek/join/1` and the `pins` topic carry: an invite redeemed, and batches of signed records."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from protocol.codec import Body
from protocol.fields import Fields, present
from protocol.identity import PeerId
from protocol.limits import (
    BEAT_ADDRS,
    DIGEST_BYTES,
    JOIN_BYTES,
    MEMBERS,
    REASON_BYTES,
    RECORD_BYTES,
    RECORDS_PER_BATCH,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBatch:
    """Signed records, as bytes; on gossip each counts by its own signature, whoever sends it."""

    KIND: ClassVar[str] = "records"

    records: tuple[bytes, ...]

    def to_body(self) -> Body:
        return present(records=self.records)

    @classmethod
    def from_body(cls, body: Body) -> "RecordBatch":
        return cls(records=Fields(body, cls.KIND).binaries("records", 1, RECORD_BYTES, RECORDS_PER_BATCH))


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAsk:
    """A stranger asks a member to admit it.

    Attributes:
        swarm: hash of the first charter, 32 bytes.
        certificate, redemption: as `Invite.redeem` made them, for the peer that the connection has proven.
    """

    KIND: ClassVar[str] = "join_ask"

    swarm: bytes
    certificate: bytes
    redemption: bytes

    def to_body(self) -> Body:
        return {"swarm": self.swarm, "certificate": self.certificate, "redemption": self.redemption}

    @classmethod
    def from_body(cls, body: Body) -> "JoinAsk":
        fields = Fields(body, cls.KIND)
        return cls(
            swarm=fields.binary("swarm", DIGEST_BYTES, DIGEST_BYTES),
            certificate=fields.binary("certificate", 1, JOIN_BYTES),
            redemption=fields.binary("redemption", 1, JOIN_BYTES),
        )


class MemberAddrs(NamedTuple):
    """Where a member was last reachable."""

    peer: PeerId
    addrs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAnswer:
    """The member's answer.

    Attributes:
        admitted: yes or no.
        reason: why not.
        records: signed charters and the admission, as bytes; the joiner checks them, then syncs the rest as a member.
        members: whom to dial.
    """

    KIND: ClassVar[str] = "join_answer"

    admitted: bool
    reason: str | None = None
    records: tuple[bytes, ...] = ()
    members: tuple[MemberAddrs, ...] = ()

    def to_body(self) -> Body:
        return present(
            admitted=self.admitted,
            reason=self.reason,
            records=self.records,
            members=[{"peer": member.peer, "addrs": list(member.addrs)} for member in self.members],
        )

    @classmethod
    def from_body(cls, body: Body) -> "JoinAnswer":
        fields = Fields(body, cls.KIND)
        members = fields.inners("members", MEMBERS)
        return cls(
            admitted=fields.flag("admitted"),
            reason=fields.text_or_none("reason", REASON_BYTES),
            records=fields.binaries("records", 1, RECORD_BYTES, RECORDS_PER_BATCH),
            members=tuple(MemberAddrs(m.peer("peer"), m.addrs("addrs", BEAT_ADDRS)) for m in members),
        )
