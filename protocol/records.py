"""Signed records: what a swarm shares besides holdings. A record and its author's signature are one `Signed`.

`sign_record` makes one, `parse_record` reads one from bytes of anybody. Whether it counts is decided by
`protocol.recordset`.
"""

import hashlib
from typing import Final, Generic, TypeVar

import msgspec

from protocol.admission import CURATOR, GUEST, KEEPER, ROLES, Admission, Departure, Expulsion
from protocol.charter import Charter, charter_hash
from protocol.errors import Reason, Refused
from protocol.fields import Replicas
from protocol.flow import Flow
from protocol.identity import Claim, KeyPair, PeerId, verify
from protocol.limits import RECORD_ID_BYTES
from protocol.pin import Pin, pin_id, safe_name
from protocol.places import record_place
from protocol.signed import read_signed, sign_body
from protocol.stamp import Stamp

__all__ = [
    "CURATOR",
    "GUEST",
    "KEEPER",
    "RECORD_KEY_BYTES",
    "ROLES",
    "Admission",
    "Charter",
    "Departure",
    "Expulsion",
    "Flow",
    "Pin",
    "Record",
    "Replicas",
    "Signed",
    "parse_record",
    "pin_id",
    "read_record",
    "record_key",
    "safe_name",
    "sign_record",
]

RECORD_KEY_BYTES: Final = 1 + RECORD_ID_BYTES
Record = Pin | Flow | Admission | Expulsion | Departure | Charter
R = TypeVar("R", bound=Record)
R_co = TypeVar("R_co", bound=Record, covariant=True)
_TYPES: Final[dict[str, type[Record]]] = {
    kind.KIND: kind for kind in (Pin, Flow, Admission, Expulsion, Departure, Charter)
}
_LETTERS: Final = {"pin": b"p", "flow": b"f", "admission": b"a", "expulsion": b"e", "departure": b"d", "charter": b"c"}


class Signed(msgspec.Struct, Generic[R_co], frozen=True, eq=False, gc=False):
    """A record with its signature; equal and hashed by its bytes. No part of it leads back to it: no search for cycles
    need look at the hundreds of thousands there are.

    Attributes:
        raw: the bytes that were signed and travel, never encoded anew.
        record: what they say.
        author: who signed them.
        key: 17 bytes naming what the record is about; records of one key compete.
        digest: sha2-256 of `raw`, 32 bytes.
        place: where it stands among all records, for sync (`protocol.places`).
    """

    raw: bytes
    record: R_co
    author: PeerId
    key: bytes
    digest: bytes
    place: bytes

    @property
    def stamp(self) -> Stamp:
        return self.record.stamp

    @property
    def rank(self) -> tuple[Stamp, str, bytes]:
        """The order of competing records: stamp, then author, then the bytes should an author contradict himself."""
        return self.record.stamp, self.author, self.digest

    @property
    def storage_key(self) -> bytes:
        """Names this author's version: what replaces it in storage has the same one, removals apart."""
        return self.key + self.author.encode() + (b"-" if self.removal else b"+")

    @property
    def removal(self) -> bool:
        """The record takes something away; kept beside its author's last that does not, in case it never counts."""
        record = self.record
        if isinstance(record, Pin):
            return record.deleted or record.trashed_ms is not None
        return isinstance(record, Flow) and record.deleted

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signed) and other.raw == self.raw

    def __ne__(self, other: object) -> bool:  # a struct would say that two which are equal differ
        return not self == other

    def __hash__(self) -> int:
        return hash(self.digest)


def record_key(record: Record, author: str, raw: bytes) -> bytes:
    """Return the 17 bytes under which records about one thing compete; every charter is a thing of its own."""
    letter = _LETTERS[record.KIND]
    if isinstance(record, Pin):  # nearly every record is one
        return letter + record.id
    if isinstance(record, Charter):
        return letter + charter_hash(raw)[:RECORD_ID_BYTES]
    if isinstance(record, Departure):
        return letter + hashlib.sha256(author.encode()).digest()[:RECORD_ID_BYTES]
    return letter + record.record_id


def signed_by(author: PeerId, record: R, raw: bytes) -> Signed[R]:
    """Put together what has been read from `raw`, or written to it."""
    key, digest = record_key(record, author, raw), hashlib.sha256(raw).digest()
    return Signed(raw, record, author, key, digest, record_place(key, digest))


def sign_record(record: R, key: KeyPair) -> Signed[R]:
    """Sign a record, stamped already, with the author's key.

    Raises:
        Refused: other peers would not take it: a field is out of bounds, or it is too large.
    """
    raw = sign_body(record.KIND, record.to_body(), key)
    if type(record).from_body(record.to_body()) != record:
        raise Refused(Reason.MALFORMED, f"{record.KIND} that would not be read as it was written")
    return signed_by(key.peer_id, record, raw)


def parse_record(raw: bytes) -> Signed[Record] | None:
    """Read a signed record and check its signature; None for a kind that only a newer version knows.

    Raises:
        Refused: the bytes are no such record, or its author did not sign it.
    """
    read = read_record(raw)
    if read is None:
        return None
    signed, claim = read
    if not verify(*claim):
        raise Refused(Reason.BAD_SIGNATURE, f"{signed.record.KIND} that {signed.author} did not sign")
    return signed


def read_record(raw: bytes) -> tuple[Signed[Record], Claim] | None:
    """`parse_record` without the check: the record is nobody's until the claim has been found true."""
    read = read_signed(raw, _TYPES.keys())
    if read is None:
        return None
    kind, body, claim = read
    return signed_by(claim[0], _TYPES[kind].from_body(body), raw), claim
