"""What `/pinakothek/sync/1` carries to bring one peer's set to what another's is: compare, then fetch.

The set is that of the records that count, or one member's holdings as the other peer knows them (`HoldingsAt`). Each ask
has one answer of at most a page.

1. `SyncCompare` fingerprints ranges of the asker's set; `SyncRanges` says which differ, and how.
2. `SyncWant` names places that the asker lacks, `SyncFetch` a range where it has nothing; `SyncRecords` or
   `SyncElements` gives what is there, as much as fits a page.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from protocol.beat import COUNT_MAX
from protocol.codec import Body
from protocol.fields import Fields, present
from protocol.holdings_messages import Element, element_of
from protocol.identity import PeerId
from protocol.limits import PAGE_BYTES, RECORD_BYTES, SYNC_PLACES_PER_WANT, SYNC_VALUES_PER_PAGE
from protocol.places import PLACE_BYTES, SHORT_BYTES


class HoldingsAt(NamedTuple):
    """The set of one member, and of which (epoch, seq); None before the other peer has said which it knows."""

    owner: PeerId
    at: tuple[int, int] | None


def _set_body(of: HoldingsAt | None) -> Body:
    return {} if of is None else present(owner=of.owner, at=of.at)


def _set_of(fields: Fields) -> HoldingsAt | None:
    at = fields.list_of("at", int, 2)
    if at and (len(at) != 2 or not all(0 <= number <= COUNT_MAX for number in at)):
        raise fields.refuse("at", "is no epoch and seq")
    owner = fields.peer_or_none("owner")
    return None if owner is None else HoldingsAt(owner, (at[0], at[1]) if at else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCompare:
    """The asker's fingerprints; `ranges` as in `protocol.ranges`, without places."""

    KIND: ClassVar[str] = "sync_compare"

    ranges: bytes
    of: HoldingsAt | None = None

    def to_body(self) -> Body:
        return {"ranges": self.ranges, **_set_body(self.of)}

    @classmethod
    def from_body(cls, body: Body) -> "SyncCompare":
        fields = Fields(body, cls.KIND)
        return cls(ranges=fields.binary("ranges", 1, PAGE_BYTES), of=_set_of(fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRanges:
    """How ranges differ, from the first one asked about on as far as fits.

    Attributes:
        ranges: as in `protocol.ranges`; empty where the set is not known.
        statement: of a member's holdings, its signed heartbeat or delta that names the digest of the whole; with the
            first answer only.
    """

    KIND: ClassVar[str] = "sync_ranges"

    ranges: bytes = b""
    statement: bytes | None = None

    def to_body(self) -> Body:
        return present(ranges=self.ranges, statement=self.statement)

    @classmethod
    def from_body(cls, body: Body) -> "SyncRanges":
        fields = Fields(body, cls.KIND)
        return cls(
            ranges=fields.binary("ranges", 0, PAGE_BYTES),
            statement=fields.binary_or_none("statement", 1, RECORD_BYTES),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncWant:
    """Ask for what is at these places, 16 bytes each."""

    KIND: ClassVar[str] = "sync_want"

    places: bytes
    of: HoldingsAt | None = None

    def to_body(self) -> Body:
        return {"places": self.places, **_set_body(self.of)}

    @classmethod
    def from_body(cls, body: Body) -> "SyncWant":
        fields = Fields(body, cls.KIND)
        places = fields.binary("places", SHORT_BYTES, SYNC_PLACES_PER_WANT * SHORT_BYTES)
        if len(places) % SHORT_BYTES:
            raise fields.refuse("places", f"are no multiple of {SHORT_BYTES} bytes")
        return cls(places=places, of=_set_of(fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncFetch:
    """Ask for everything in a range: from `low` on, below `high`."""

    KIND: ClassVar[str] = "sync_fetch"

    low: bytes
    high: bytes
    of: HoldingsAt | None = None

    def to_body(self) -> Body:
        return {"low": self.low, "high": self.high, **_set_body(self.of)}

    @classmethod
    def from_body(cls, body: Body) -> "SyncFetch":
        fields = Fields(body, cls.KIND)
        low, high = fields.binary("low", 0, PLACE_BYTES), fields.binary("high", 1, PLACE_BYTES)
        if high <= low:
            raise fields.refuse("high", "is not above low")
        return cls(low=low, high=high, of=_set_of(fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRecords:
    """Signed records: of the first `taken` places of a want, where a place gone meanwhile is taken without one; or of a
    range up to `next`, from where it goes on, None at its end.
    """

    KIND: ClassVar[str] = "sync_records"

    records: tuple[bytes, ...] = ()
    taken: int = 0
    next: bytes | None = None

    def to_body(self) -> Body:
        return present(records=self.records, taken=self.taken, next=self.next)

    @classmethod
    def from_body(cls, body: Body) -> "SyncRecords":
        fields = Fields(body, cls.KIND)
        return cls(
            records=fields.binaries("records", 1, RECORD_BYTES, SYNC_VALUES_PER_PAGE),
            taken=fields.integer_or_none("taken", 0, SYNC_PLACES_PER_WANT) or 0,
            next=fields.binary_or_none("next", 1, PLACE_BYTES),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncElements:
    """Elements of one member's holdings; `taken` and `next` as in `SyncRecords`."""

    KIND: ClassVar[str] = "sync_elements"

    elements: tuple[Element, ...] = ()
    taken: int = 0
    next: bytes | None = None

    def to_body(self) -> Body:
        return present(elements=[list(element) for element in self.elements], taken=self.taken, next=self.next)

    @classmethod
    def from_body(cls, body: Body) -> "SyncElements":
        fields = Fields(body, cls.KIND)
        entries = fields.list_of("elements", list, SYNC_VALUES_PER_PAGE)
        return cls(
            elements=tuple(element_of(entry, fields, "elements") for entry in entries),
            taken=fields.integer_or_none("taken", 0, SYNC_PLACES_PER_WANT) or 0,
            next=fields.binary_or_none("next", 1, PLACE_BYTES),
        )
