"""Claims on the wire, over `/pinakothek/replica/1`: before bytes go from a store that peers share, each of them is asked."""

from dataclasses import dataclass
from typing import ClassVar

from protocol.codec import Body
from protocol.fields import Fields, present
from protocol.limits import KIND_BYTES, STORE_ID_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAsk:
    """Ask a peer that announced `store_id` whether it claims the root in that store."""

    KIND: ClassVar[str] = "claim_ask"

    root: bytes
    kind: str
    store_id: str

    def to_body(self) -> Body:
        return {"root": self.root, "kind": self.kind, "store_id": self.store_id}

    @classmethod
    def from_body(cls, body: Body) -> "ClaimAsk":
        fields = Fields(body, cls.KIND)
        return cls(
            root=fields.cid("root"),
            kind=fields.text("kind", KIND_BYTES),
            store_id=fields.text("store_id", STORE_ID_BYTES),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAnswer:
    """`free`: the peer does not claim it. Whatever is not a clear yes is a claim."""

    KIND: ClassVar[str] = "claim_answer"

    free: bool = False

    def to_body(self) -> Body:
        return present(free=self.free)

    @classmethod
    def from_body(cls, body: Body) -> "ClaimAnswer":
        return cls(free=Fields(body, cls.KIND).flag("free"))
