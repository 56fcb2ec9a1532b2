"""The chain by which an admission stands: a steward's certificate, and its invite key's signature over the joiner.

1. A steward signs a certificate naming roles, uses, an end and the public half of a key made for this invite.
2. The invite carries that key's secret half; with it the joiner signs a redemption naming his own peer id.
3. Any member writes both into an admission. Who wrote it does not matter: anybody can check the chain.
"""

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Final

from protocol.admission import Admission, roles_of
from protocol.codec import Body
from protocol.errors import Reason, Refused
from protocol.fields import Fields, present
from protocol.identity import KeyPair, PeerId
from protocol.limits import CERTIFICATE_USES, DIGEST_BYTES
from protocol.signed import open_kind, sign_body
from protocol.stamp import Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A steward's permission to admit whoever holds the invite's key.

    Attributes:
        swarm: hash of the first charter, 32 bytes.
        roles: what the admitted become.
        uses: how many peers may be admitted with it.
        expires_ms: wall-clock milliseconds after which no admission may be stamped.
        invite_key: public half of the invite's key, as a peer id.
        stamp: when it was issued.
    """

    KIND: ClassVar[str] = "certificate"

    swarm: bytes
    roles: tuple[str, ...]
    uses: int
    expires_ms: int
    invite_key: PeerId
    stamp: Stamp

    def to_body(self) -> Body:
        return present(
            swarm=self.swarm,
            roles=self.roles,
            uses=self.uses,
            expires_ms=self.expires_ms,
            invite_key=self.invite_key,
            stamp=self.stamp,
        )

    @classmethod
    def from_body(cls, body: Body) -> "Certificate":
        fields = Fields(body, cls.KIND)
        return cls(
            swarm=fields.binary("swarm", DIGEST_BYTES, DIGEST_BYTES),
            roles=roles_of(fields),
            uses=fields.integer("uses", 1, CERTIFICATE_USES),
            expires_ms=fields.needed("expires_ms", fields.time_ms_or_none("expires_ms")),
            invite_key=fields.peer("invite_key"),
            stamp=fields.stamp("stamp"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A checked chain: every signature in it is right. Whether `steward` is one is the charter's to say."""

    certificate: Certificate
    certificate_hash: bytes
    steward: PeerId
    peer: PeerId


_REDEMPTION: Final = "redemption"


def sign_certificate(certificate: Certificate, steward: KeyPair) -> bytes:
    """Return the certificate's signed bytes."""
    return sign_body(Certificate.KIND, certificate.to_body(), steward)


def open_certificate(raw: bytes) -> tuple[Certificate, PeerId]:
    """Return a certificate and who signed it.

    Raises:
        Refused: the bytes are none, or the signature is wrong.
    """
    body, steward = open_kind(raw, Certificate.KIND)
    return Certificate.from_body(body), steward


def sign_redemption(certificate_raw: bytes, peer: PeerId, invite: KeyPair) -> bytes:
    """Return the invite key's signed word that `peer` redeems this certificate."""
    body = present(certificate=hashlib.sha256(certificate_raw).digest(), peer=peer)
    return sign_body(_REDEMPTION, body, invite)


def open_chain(certificate_raw: bytes, redemption_raw: bytes) -> Chain:
    """Check the two signatures of a chain and that they belong together.

    Raises:
        Refused: they do not.
    """
    certificate, steward = open_certificate(certificate_raw)
    body, author = open_kind(redemption_raw, _REDEMPTION)
    fields = Fields(body, _REDEMPTION)
    certificate_hash = hashlib.sha256(certificate_raw).digest()
    if author != certificate.invite_key or fields.binary("certificate", DIGEST_BYTES, DIGEST_BYTES) != certificate_hash:
        raise Refused(Reason.BAD_SIGNATURE, "redemption that its certificate's invite key did not sign")
    return Chain(certificate=certificate, certificate_hash=certificate_hash, steward=steward, peer=fields.peer("peer"))


def chain_of(admission: Admission, swarm: bytes) -> Chain:
    """Check everything about an admission's chain but whether the steward is one.

    Raises:
        Refused: it has no chain, or another's, or is stamped outside the certificate's life.
    """
    if admission.certificate is None or admission.redemption is None:
        raise Refused(Reason.MALFORMED, "admission without certificate and redemption")
    chain = open_chain(admission.certificate, admission.redemption)
    certificate = chain.certificate
    if certificate.swarm != swarm:
        raise Refused(Reason.WRONG_SWARM, "certificate of another swarm")
    if chain.peer != admission.peer or certificate.roles != admission.roles:
        raise Refused(Reason.BAD_SIGNATURE, f"admission of {admission.peer} that its chain does not give")
    if not certificate.stamp.ms <= admission.stamp.ms <= certificate.expires_ms:
        raise Refused(Reason.EXPIRED, f"admission of {admission.peer} outside its certificate's life")
    return chain
