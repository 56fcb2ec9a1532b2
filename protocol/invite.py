"""The invite: one line that lets its holder join, and what he sends to do so.

The line is `pina1` and base64url (no padding) of a 4-byte checksum and a DAG-CBOR map {addrs, certificate, secret}. A
character lost or changed on the way is found before anything is tried.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from protocol.admission import Admission
from protocol.author import Author
from protocol.certificate import Certificate, chain_of, open_certificate, sign_certificate, sign_redemption
from protocol.charter import swarm_id_text
from protocol.codec import decode_map, encode_value
from protocol.errors import Reason, Refused
from protocol.fields import Fields
from protocol.identity import SEED_BYTES, KeyPair, PeerId
from protocol.limits import INVITE_ADDRS, INVITE_CHARS, RECORD_BYTES
from protocol.records import Signed
from protocol.recordset import RecordSet

PREFIX: Final = "pina1"
_CHECKSUM_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """A parsed invite.

    Attributes:
        swarm: hash of the first charter, 32 bytes.
        addrs: multiaddrs of members, with `/p2p/`.
        certificate_raw: the steward's signed certificate.
        certificate: what it says.
        key: the invite's key pair; secret.
    """

    swarm: bytes
    addrs: tuple[str, ...]
    certificate_raw: bytes
    certificate: Certificate
    key: KeyPair

    @property
    def swarm_id(self) -> str:
        return swarm_id_text(self.swarm)

    def redeem(self, peer: PeerId) -> tuple[bytes, bytes]:
        """Return the signed certificate and redemption that a member needs to admit `peer`."""
        return self.certificate_raw, sign_redemption(self.certificate_raw, peer, self.key)


def make_invite(
    steward: Author,
    *,
    swarm: bytes,
    secret: bytes,
    addrs: tuple[str, ...],
    roles: tuple[str, ...],
    uses: int,
    expires_ms: int,
    now_ms: int,
) -> str:
    """Return an invite's line.

    Args:
        steward: who vouches for it.
        swarm: hash of the first charter.
        secret: 32 random bytes, the seed of the invite's key.
        addrs: where the joiner may find a member; the first eight are used.
        roles: what the joiner becomes, in the order of `admission.ROLES`.
        uses: how many may join.
        expires_ms: until when, wall-clock milliseconds.
        now_ms: wall-clock milliseconds.

    Raises:
        Refused: a value is out of bounds.
    """
    key = KeyPair(secret)
    certificate = Certificate(
        swarm=swarm,
        roles=roles,
        uses=uses,
        expires_ms=expires_ms,
        invite_key=key.peer_id,
        stamp=steward.clock.next(now_ms),
    )
    signed = sign_certificate(certificate, steward.key)
    open_certificate(signed)
    body = encode_value({"addrs": list(addrs[:INVITE_ADDRS]), "certificate": signed, "secret": secret})
    line = PREFIX + base64.urlsafe_b64encode(_checksum(body) + body).decode().rstrip("=")
    parse_invite(line)
    return line


def parse_invite(line: str) -> Invite:
    """Read an invite's line; white space around it and line breaks within it do not matter.

    Raises:
        Refused: with `DAMAGED` and a reason for people.
    """
    text = "".join(line.split())
    if not text.startswith(PREFIX):
        raise Refused(Reason.DAMAGED, f"an invite begins with {PREFIX}")
    if len(text) > INVITE_CHARS:
        raise Refused(Reason.DAMAGED, f"an invite has at most {INVITE_CHARS} characters, this one {len(text)}")
    encoded = text[len(PREFIX) :]
    try:
        packed = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise Refused(Reason.DAMAGED, "the invite is cut off or holds characters that belong to no invite") from error
    body = packed[_CHECKSUM_BYTES:]
    if packed[:_CHECKSUM_BYTES] != _checksum(body):
        raise Refused(Reason.DAMAGED, "the invite is cut off or mistyped: its checksum does not match")
    try:
        return _parse_body(body)
    except Refused as error:
        raise Refused(Reason.DAMAGED, f"the invite cannot be used: {error.detail}") from error


def _parse_body(body: bytes) -> Invite:
    fields = Fields(decode_map(body, max_bytes=INVITE_CHARS), "invite")
    certificate_raw = fields.binary("certificate", 1, RECORD_BYTES)
    certificate, _ = open_certificate(certificate_raw)
    key = KeyPair(fields.binary("secret", SEED_BYTES, SEED_BYTES))
    if key.peer_id != certificate.invite_key:
        raise fields.refuse("secret", "is not that of its certificate")
    return Invite(
        swarm=certificate.swarm,
        addrs=fields.addrs("addrs", INVITE_ADDRS),
        certificate_raw=certificate_raw,
        certificate=certificate,
        key=key,
    )


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(b"pinakothek invite:" + body).digest()[:_CHECKSUM_BYTES]


def admit(
    records: RecordSet, writer: Author, *, peer: PeerId, certificate: bytes, redemption: bytes, now_ms: int
) -> Signed[Admission] | None:
    """Write the admission of a peer that redeems an invite; the caller merges and stores it.

    Args:
        records: the swarm's state.
        writer: this member's own.
        peer: the id that the connection has proven.
        certificate, redemption: as `Invite.redeem` made them.
        now_ms: wall-clock milliseconds.

    Returns:
        The signed admission, or None if this certificate has admitted this peer already.

    Raises:
        Refused: expired, used up, expelled, another swarm's, or a signature is wrong.
    """
    given, steward = open_certificate(certificate)
    if now_ms > given.expires_ms:
        raise Refused(Reason.EXPIRED, "the invite has expired")
    if not records.is_steward(steward, given.stamp):
        raise Refused(Reason.NOT_ALLOWED, f"the invite was signed by {steward}, who is no steward")
    draft = Admission(peer=peer, roles=given.roles, certificate=certificate, redemption=redemption)
    signed = writer.write(draft, now_ms, after=given.stamp)
    chain = chain_of(signed.record, records.swarm)
    standing = records.standing(peer)
    if standing is not None and given.stamp <= standing.expelled_at:
        raise Refused(Reason.NOT_ALLOWED, f"{peer} was expelled after this invite was made")
    uses = records.uses(chain.certificate_hash)
    if peer in uses:
        return None
    if len(uses) >= given.uses:
        raise Refused(Reason.USED_UP, f"the invite was for {given.uses} and has been used")
    return signed
