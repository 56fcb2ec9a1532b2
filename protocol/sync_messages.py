"""What `/pinakothek/sync/1` carries for records: compare, list, fetch. Each ask has one answer of at most a page.

1. `SyncCompare` gives the fingerprint of each of our buckets; `SyncBuckets` names those that differ over there.
2. `SyncList` asks what those hold; `SyncListing` gives key and digest prefix of each record, page by page.
3. `SyncWant` names the keys that we lack; `SyncRecords` gives their signed records, as many as fit a page.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

from protocol.codec import Body
from protocol.fields import Fields, present
from protocol.limits import DIGEST_BYTES, PAGE_BYTES, RECORD_BYTES, RECORD_ID_BYTES, SYNC_BUCKETS

KEY_BYTES: Final = 1 + RECORD_ID_BYTES
PREFIX_BYTES: Final = 8
"""Of a record's digest: enough to tell versions of one key apart."""
ENTRY_BYTES: Final = KEY_BYTES + PREFIX_BYTES
ENTRIES_PER_PAGE: Final = PAGE_BYTES // ENTRY_BYTES - 1
KEYS_PER_WANT: Final = 4096
_FINGERPRINTS_BYTES: Final = SYNC_BUCKETS * DIGEST_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCompare:
    """The asker's fingerprints: 256 times 32 bytes, in order."""

    KIND: ClassVar[str] = "sync_compare"

    fingerprints: bytes

    def to_body(self) -> Body:
        return {"fingerprints": self.fingerprints}

    @classmethod
    def from_body(cls, body: Body) -> "SyncCompare":
        fields = Fields(body, cls.KIND)
        return cls(fingerprints=fields.binary("fingerprints", _FINGERPRINTS_BYTES, _FINGERPRINTS_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncBuckets:
    """The buckets that differ, one byte each, ascending."""

    KIND: ClassVar[str] = "sync_buckets"

    buckets: bytes

    def to_body(self) -> Body:
        return {"buckets": self.buckets}

    @classmethod
    def from_body(cls, body: Body) -> "SyncBuckets":
        return cls(buckets=_buckets(Fields(body, cls.KIND), 0))


def _buckets(fields: Fields, at_least: int) -> bytes:
    found = fields.binary("buckets", at_least, SYNC_BUCKETS)
    if any(low >= high for low, high in pairwise(found)):
        raise fields.refuse("buckets", "are not ascending")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncList:
    """Ask what buckets hold; `after` is the last key seen of the first of them, or empty."""

    KIND: ClassVar[str] = "sync_list"

    buckets: bytes
    after: bytes = b""

    def to_body(self) -> Body:
        return present(buckets=self.buckets, after=self.after)

    @classmethod
    def from_body(cls, body: Body) -> "SyncList":
        fields = Fields(body, cls.KIND)
        return cls(buckets=_buckets(fields, 1), after=fields.binary("after", 0, KEY_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncListing:
    """Keys and digest prefixes, 25 bytes each, in order of bucket and key; `complete` if nothing is left to list."""

    KIND: ClassVar[str] = "sync_listing"

    entries: bytes
    complete: bool

    def to_body(self) -> Body:
        return present(entries=self.entries, complete=self.complete)

    @classmethod
    def from_body(cls, body: Body) -> "SyncListing":
        fields = Fields(body, cls.KIND)
        entries = fields.binary("entries", 0, ENTRIES_PER_PAGE * ENTRY_BYTES)
        if len(entries) % ENTRY_BYTES:
            raise fields.refuse("entries", f"are no multiple of {ENTRY_BYTES} bytes")
        return cls(entries=entries, complete=fields.flag("complete"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncWant:
    """Ask for the records that count for these keys, 17 bytes each."""

    KIND: ClassVar[str] = "sync_want"

    keys: bytes

    def to_body(self) -> Body:
        return {"keys": self.keys}

    @classmethod
    def from_body(cls, body: Body) -> "SyncWant":
        fields = Fields(body, cls.KIND)
        keys = fields.binary("keys", KEY_BYTES, KEYS_PER_WANT * KEY_BYTES)
        if len(keys) % KEY_BYTES:
            raise fields.refuse("keys", f"are no multiple of {KEY_BYTES} bytes")
        return cls(keys=keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRecords:
    """Signed records for the first `taken` keys of the want; a key gone meanwhile is taken without a record."""

    KIND: ClassVar[str] = "sync_records"

    taken: int
    records: tuple[bytes, ...]

    def to_body(self) -> Body:
        return present(taken=self.taken, records=self.records)

    @classmethod
    def from_body(cls, body: Body) -> "SyncRecords":
        fields = Fields(body, cls.KIND)
        taken = fields.integer("taken", 1, KEYS_PER_WANT)
        return cls(taken=taken, records=fields.binaries("records", 1, RECORD_BYTES, taken))
