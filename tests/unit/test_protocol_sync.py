"""Catching up on records and on one member's holdings, over bytes as on the wire."""

import random
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.swarm.sync_answers import MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES
from protocol.author import Author
from protocol.beat import Beat, HoldingsSummary, sign_beat
from protocol.errors import Refused
from protocol.founding import found_swarm
from protocol.holdings import ElementSet
from protocol.holdings_messages import Change, Element
from protocol.identity import KeyPair, PeerId
from protocol.limits import PAGE_BYTES, RECORD_BYTES, SYNC_PLACES_PER_WANT, SYNC_RANGES_PER_ASK
from protocol.messages import SYNC_ANSWERS, SYNC_ASKS, Message, read_message, write_message
from protocol.ordered import OrderedSet
from protocol.places import END, PLACE_BYTES, element_digest, element_place
from protocol.ranges import Part, pack
from protocol.records import Pin, Record, Signed, parse_record
from protocol.recordset import RecordSet
from protocol.sync import (
    HoldingsAsker,
    Step,
    SyncAnswer,
    SyncAsk,
    SyncAsker,
    answer_compare,
    answer_elements,
    answer_records,
)
from protocol.sync_messages import HoldingsAt, SyncCompare, SyncElements, SyncFetch, SyncRanges, SyncRecords, SyncWant

FOUNDER, STEWARD, OTHER = (KeyPair(bytes([n]) * 32) for n in range(1, 4))
T0 = 1_800_000_000_000
FOUNDING = found_swarm(FOUNDER.peer_id, STEWARD, OTHER.peer_id, name="test", now_ms=T0)
AUTHOR = Author(FOUNDER)
PINS = [
    AUTHOR.write(Pin(id=n.to_bytes(16, "big"), flow="f", root=b"\x01\x55\x12\x20" + n.to_bytes(32, "big")), T0)
    for n in range(60)
]
LATER = [AUTHOR.write(signed.record, T0 + 1000, after=signed.stamp) for signed in PINS]


def records_of(*more: Signed[Record], founded: bool = True) -> RecordSet:
    found = RecordSet(FOUNDING.swarm)
    for signed in (*(FOUNDING.records if founded else ()), *more):
        found.merge(signed, T0 + 1000)
    return found


def carry_out(
    asker: SyncAsker[Signed[Record]] | HoldingsAsker,
    answer: Callable[[SyncAsk], SyncAnswer],
    take: Callable[[Step], None] = lambda _: None,
    order: Callable[[int], int] = lambda _: 0,
) -> int:
    """Ask and answer to the end; `order` picks which of the asks on their way is answered next. Returns the asks."""
    asked = 0
    while waiting := deque(asker.next_asks()):
        while waiting:
            at = order(len(waiting))
            ask = waiting[at]
            del waiting[at]
            asked += 1
            raw_ask = write_message(ask)
            assert len(raw_ask) <= MAX_REQUEST_BYTES
            raw = write_message(answer(read_message(raw_ask, SYNC_ASKS)))  # type: ignore[arg-type]
            assert len(raw) <= PAGE_BYTES
            step = asker.handle(ask, read_message(raw, SYNC_ANSWERS))  # type: ignore[arg-type]
            take(step)
            if step.again is not None:
                waiting.appendleft(step.again)
    return asked


def pull(source: RecordSet, to: RecordSet, order: Callable[[int], int] = lambda _: 0) -> int:
    """Let `to` catch up with `source`; return the records that came."""
    came = 0

    def answer(ask: SyncAsk) -> SyncAnswer:
        if isinstance(ask, SyncCompare):
            return answer_compare(source.tally, ask)
        return answer_records(source.tally, ask)

    def take(step: Step) -> None:
        nonlocal came
        for raw in step.records:
            signed = parse_record(raw)
            assert signed is not None
            to.merge(signed, T0 + 1000)
            came += 1

    carry_out(SyncAsker(to.tally), answer, take, order)
    return came


some = st.sets(st.integers(0, 59))


@settings(deadline=None, max_examples=60)
@given(some, some, some, some, st.randoms())
def test_two_peers_that_pull_from_each_other_agree(
    a: set[int], b: set[int], c: set[int], d: set[int], draw: random.Random
) -> None:
    one = records_of(*(PINS[n] for n in a), *(LATER[n] for n in b))
    other = records_of(*(PINS[n] for n in c), *(LATER[n] for n in d))
    pull(one, other, draw.randrange)
    pull(other, one, draw.randrange)
    assert one.digest == other.digest
    assert pull(one, other) == 0
    assert one.digest == records_of(*(PINS[n] for n in a | c), *(LATER[n] for n in b | d)).digest


def test_a_newcomer_gets_roles_before_what_needs_them() -> None:
    newcomer = RecordSet(FOUNDING.swarm)
    refused: list[str] = []
    merge = newcomer.merge

    def watched(signed: Signed[Record], now_ms: int) -> object:
        merged = merge(signed, now_ms)
        if not merged.relay:
            refused.append(merged.status.value)
        return merged

    newcomer.merge = watched  # type: ignore[method-assign, assignment]
    assert pull(records_of(*PINS), newcomer) == 2 + len(PINS)
    assert newcomer.pin_count == len(PINS)
    assert refused == []


def test_a_sync_of_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.sync.PLACES_AT_ONCE", 7)
    monkeypatch.setattr("protocol.sync.PAGE_BYTES", 2000)
    full, newcomer, stale = records_of(*PINS), RecordSet(FOUNDING.swarm), records_of(*PINS[::2])
    for behind in (newcomer, stale):
        pull(full, behind)
        assert behind.digest == full.digest


def test_what_is_found_is_fetched_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.sync.LISTED_AT_ONCE", 5)
    monkeypatch.setattr("protocol.reconciling.PIECES", 1)
    monkeypatch.setattr("protocol.reconciling.SYNC_RANGES_PER_ASK", 4)
    behind = records_of(*PINS[:3], *LATER[20:])
    asker = SyncAsker(behind.tally)
    source, most = records_of(*LATER), 0

    def answer(ask: SyncAsk) -> SyncAnswer:
        nonlocal most
        most = max(most, len(asker.comparison.missing))
        return answer_compare(source.tally, ask) if isinstance(ask, SyncCompare) else answer_records(source.tally, ask)

    def take(step: Step) -> None:
        for raw in step.records:
            signed = parse_record(raw)
            assert signed is not None
            behind.merge(signed, T0 + 1000)

    carry_out(asker, answer, take)
    assert behind.digest == source.digest
    assert most <= 5 + 64


WANT, FETCH = SyncWant(places=bytes(32)), SyncFetch(low=b"\x05", high=END)
MORE = Element(b"\x01\x70\x12\x20" + bytes(32), "ipfs")


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (SyncCompare(ranges=b"\x01\xff"), SyncRecords(taken=1)),
        (SyncCompare(ranges=b"\x01\xff"), SyncRanges()),
        (WANT, SyncRanges()),
        (WANT, SyncElements(taken=1)),
        (WANT, SyncRecords()),
        (WANT, SyncRecords(taken=3)),
        (WANT, SyncRecords(taken=1, records=(b"r", b"r"))),
        (WANT, SyncRecords(taken=1, records=(b"r",), next=b"\x05\x01")),
        (FETCH, SyncRecords(next=b"\x06")),
        (FETCH, SyncRecords(records=(b"r",), next=b"\x05")),
        (FETCH, SyncRecords(records=(b"r",), next=END)),
    ],
)
def test_a_lying_answerer_is_refused(ask: SyncAsk, answer: SyncAnswer) -> None:
    asker = SyncAsker(records_of().tally)
    asker.next_asks()
    with pytest.raises(Refused):
        asker.handle(ask, answer)


def test_the_longest_messages_fit_what_is_taken() -> None:
    of = HoldingsAt(FOUNDER.peer_id, (2**53 - 1, 2**53 - 1))
    parts = [Part(n.to_bytes(PLACE_BYTES, "big"), fingerprint=bytes(16)) for n in range(1, SYNC_RANGES_PER_ASK + 1)]
    assert len(write_message(SyncCompare(ranges=pack(parts), of=of))) <= MAX_REQUEST_BYTES
    assert len(write_message(SyncWant(places=bytes(16) * SYNC_PLACES_PER_WANT, of=of))) <= MAX_REQUEST_BYTES
    held = OrderedSet(element_place, element_digest, [Element(n.to_bytes(128, "big"), "k" * 16) for n in range(10_000)])
    page = answer_elements(held, SyncFetch(low=b"", high=END, of=of))
    assert 1000 < len(page.elements) < 10_000
    assert len(write_message(page)) <= MAX_RESPONSE_BYTES
    empty: OrderedSet[Element] = OrderedSet(element_place, element_digest)
    [ask] = SyncAsker(empty, of).next_asks()
    assert isinstance(ask, SyncCompare)
    many = OrderedSet(element_place, element_digest, [Element(n.to_bytes(32, "big"), "ipfs") for n in range(100_000)])
    assert len(write_message(answer_compare(many, ask, bytes(RECORD_BYTES)))) <= MAX_RESPONSE_BYTES


# -- one member's holdings --------------------------------------------------------------------------------------------

OWNER = OTHER


def element(n: int) -> Element:
    return Element(b"\x01\x55\x12\x20" + n.to_bytes(32, "big"), "ipfs" if n % 5 else "s3")


def stated(held: ElementSet, signer: KeyPair = OWNER, summary: HoldingsSummary | None = None) -> bytes:
    beat = Beat(
        incarnation=1, seq=1, clock_ms=T0, name="m", capacity_bytes=1, used_bytes=0, records_digest=bytes(32),
        holdings=summary or held.summary(3, 41), version="0",
    )  # fmt: skip
    return sign_beat(beat, signer)


def fetch(known: ElementSet, theirs: ElementSet, statement: bytes, most: int = 10_000) -> HoldingsAsker:
    held = OrderedSet(element_place, element_digest, theirs.elements)

    def answer(ask: SyncAsk) -> SyncAnswer:
        assert ask.of is not None
        assert ask.of.owner == OWNER.peer_id
        if not isinstance(ask, SyncCompare):
            assert ask.of.at == (3, 41)
            return answer_elements(held, ask)
        return answer_compare(held, ask, statement if ask.of.at is None else None)

    asker = HoldingsAsker(OrderedSet(element_place, element_digest, known.elements), PeerId(OWNER.peer_id), most=most)
    carry_out(asker, answer)
    return asker


@settings(deadline=None, max_examples=60)
@given(st.sets(st.integers(0, 500), max_size=300), st.sets(st.integers(0, 500), max_size=300))
def test_holdings_become_what_their_owner_signed(mine: set[int], other: set[int]) -> None:
    known, theirs = ElementSet(map(element, mine)), ElementSet(map(element, other))
    asker = fetch(known, theirs, stated(theirs))
    for gone in asker.comparison.surplus:
        known.apply(Change(*gone, False))
    for came in asker.added:
        known.apply(Change(*came, True))
    assert asker.summary is not None
    assert known.matches(asker.summary)
    assert known.elements == theirs.elements


def test_few_changes_of_large_holdings_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = ElementSet(map(element, range(30_000)))
    known = ElementSet(map(element, range(3, 30_004)))
    bytes_of: list[int] = []
    write = write_message

    def counted(message: Message) -> bytes:
        raw = write(message)
        bytes_of.append(len(raw))
        return raw

    monkeypatch.setattr("tests.unit.test_protocol_sync.write_message", counted)
    asker = fetch(known, theirs, stated(theirs), most=50_000)
    assert (sorted(asker.added), sorted(asker.comparison.surplus)) == (
        sorted(map(element, range(3))),
        sorted(map(element, range(30_000, 30_004))),
    )
    assert sum(bytes_of) < 24_000


def test_holdings_that_another_signed_or_nobody_can_have_are_refused() -> None:
    theirs = ElementSet(map(element, range(10)))
    huge = HoldingsSummary(epoch=3, seq=41, count=10_001, digest=theirs.digest)
    few = HoldingsSummary(epoch=3, seq=41, count=3, digest=theirs.digest)
    for statement in (stated(theirs, FOUNDER), stated(theirs, summary=huge), stated(theirs, summary=few), b"x"):
        with pytest.raises(Refused):
            fetch(ElementSet(), theirs, statement)


def test_holdings_that_are_not_known_there_are_refused() -> None:
    asker = HoldingsAsker(OrderedSet(element_place, element_digest), PeerId(OWNER.peer_id), most=10)
    [ask] = asker.next_asks()
    with pytest.raises(Refused, match="not known"):
        asker.handle(ask, SyncRanges())
