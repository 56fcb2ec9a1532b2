"""What `/pinakothek/query/1` carries of pictures that look alike."""

from dataclasses import dataclass
from typing import ClassVar, Final

from protocol.codec import Body
from protocol.fields import Fields, present
from protocol.limits import CID_BYTES, QUERY_ROWS

PHASH_BYTES: Final = 8
PHASH_BITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarAsk:
    """Which pinned images look like this one?

    Attributes:
        phash: its perceptual hash, 8 bytes.
        within_bits: how many bits may differ.
    """

    KIND: ClassVar[str] = "similar_ask"

    phash: bytes
    within_bits: int

    def to_body(self) -> Body:
        return {"phash": self.phash, "within_bits": self.within_bits}

    @classmethod
    def from_body(cls, body: Body) -> "SimilarAsk":
        fields = Fields(body, cls.KIND)
        return cls(
            phash=fields.binary("phash", PHASH_BYTES, PHASH_BYTES),
            within_bits=fields.integer("within_bits", 0, PHASH_BITS),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarAnswer:
    """Roots and in how many bits each one's hash differs, nearest first; as many as a page takes."""

    KIND: ClassVar[str] = "similar"

    found: tuple[tuple[bytes, int], ...] = ()

    def to_body(self) -> Body:
        return present(found=[list(each) for each in self.found])

    @classmethod
    def from_body(cls, body: Body) -> "SimilarAnswer":
        """Read an answer; raises `Refused` for any field out of bounds."""
        fields = Fields(body, cls.KIND)
        found = []
        for entry in fields.list_of("found", list, QUERY_ROWS):
            if len(entry) != 2 or type(entry[0]) is not bytes or not CID_BYTES[0] <= len(entry[0]) <= CID_BYTES[1]:
                raise fields.refuse("found", "has an entry without a root")
            if type(entry[1]) is not int or not 0 <= entry[1] <= PHASH_BITS:
                raise fields.refuse("found", "has an entry without a distance")
            found.append((entry[0], entry[1]))
        return cls(found=tuple(found))
