"""Audits on the wire: what a challenger and a holder of a root say to each other over `/pinakothek/audit/1`."""

from dataclasses import dataclass
from typing import ClassVar

from protocol.codec import Body
from protocol.fields import Fields, present
from protocol.limits import DIGEST_BYTES, KIND_BYTES, NONCE_BYTES, REASON_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditAsk:
    """Ask a holder to prove a root.

    Attributes:
        nonce: 32 random bytes; they decide what of the root is read, and key the proof.
        root, kind: what and where.
        recheck: it has failed to prove this root before: every block of it is to be hashed anew.
    """

    KIND: ClassVar[str] = "audit_ask"

    nonce: bytes
    root: bytes
    kind: str
    recheck: bool = False

    def to_body(self) -> Body:
        return present(nonce=self.nonce, root=self.root, kind=self.kind, recheck=self.recheck)

    @classmethod
    def from_body(cls, body: Body) -> "AuditAsk":
        fields = Fields(body, cls.KIND)
        return cls(
            nonce=fields.binary("nonce", NONCE_BYTES, NONCE_BYTES),
            root=fields.cid("root"),
            kind=fields.text("kind", KIND_BYTES),
            recheck=fields.flag("recheck"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditAnswer:
    """The proof, or why there is none: one of the two."""

    KIND: ClassVar[str] = "audit_answer"

    proof: bytes | None = None
    reason: str | None = None

    def to_body(self) -> Body:
        return present(proof=self.proof, reason=self.reason)

    @classmethod
    def from_body(cls, body: Body) -> "AuditAnswer":
        fields = Fields(body, cls.KIND)
        answer = cls(
            proof=fields.binary_or_none("proof", DIGEST_BYTES, DIGEST_BYTES),
            reason=fields.text_or_none("reason", REASON_BYTES),
        )
        if (answer.proof is None) == (answer.reason is None):
            raise fields.refuse("proof", "and reason: expected one of the two")
        return answer
