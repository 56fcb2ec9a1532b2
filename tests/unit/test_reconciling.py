"""Ordered sets, fingerprints of their ranges, and the comparison of two of them, over bytes as on the wire."""

import hashlib
import random
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Refused
from protocol.limits import PAGE_BYTES, RECORD_BYTES, SYNC_LISTED, SYNC_PARTS, SYNC_RANGES_PER_ASK
from protocol.ordered import CHUNK, NOTHING, OrderedSet
from protocol.places import END, PLACE_BYTES, SHORT_BYTES, START
from protocol.ranges import Part, pack, unpack
from protocol.reconciling import Comparison, compare

V = TypeVar("V")


def place_of(n: int) -> bytes:
    """A place of its own for each number below 2^16; those of one hundred lie very near to one another."""
    return bytes([5 if n % 3 else 0, *(n // 100).to_bytes(2, "big"), *bytes(8)]) + n.to_bytes(4, "big") + bytes(9)


def digest_of(n: int) -> bytes:
    return hashlib.sha256(n.to_bytes(4, "big")).digest()


def ordered(numbers: Iterable[int]) -> OrderedSet[int]:
    return OrderedSet(place_of, digest_of, numbers)


def scattered(seed: int, count: int) -> list[bytes]:
    draw = random.Random(seed)
    return [b"\x05" + draw.randbytes(23) for _ in range(count)]


def of_places(places: Iterable[bytes]) -> OrderedSet[bytes]:
    """A set of places, each its own hash."""
    return OrderedSet(lambda place: place, lambda place: place, places)


numbers = st.integers(0, 3000)
runs = st.builds(lambda at, count: set(range(at, at + count)), numbers, st.integers(0, 1200))
sets = st.builds(lambda some, run: some | run, st.sets(numbers, max_size=40), runs)


# -- the set ----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(sets, sets, sets, st.lists(st.binary(min_size=1, max_size=4), max_size=8))
def test_an_ordered_set_is_the_same_however_it_came_about(
    first: set[int], added: set[int], taken: set[int], bounds: list[bytes]
) -> None:
    grown = ordered(first)
    for n in sorted(added, key=lambda n: n * 7919 % 3001):
        assert grown.add(n) == (n not in first)
    for n in taken:
        assert grown.discard(n) == (n in first | added)
    kept = (first | added) - taken
    made = ordered(kept)
    in_order = sorted(kept, key=place_of)
    assert len(grown) == len(kept)
    assert grown.digest == made.digest
    assert list(grown.between(START, END)) == in_order
    assert [grown.at(rank) for rank in range(len(kept))] == in_order
    for low, high in pairwise(sorted({START, END, *bounds})):
        within = [n for n in in_order if low <= place_of(n) < high]
        assert list(grown.between(low, high)) == within
        for whole in (grown, made):
            weight = whole.before(high) - whole.before(low)
            assert weight.size == len(within)
            assert weight.fingerprint == (ordered(within).before(END) - NOTHING).fingerprint


@settings(deadline=None, max_examples=30)
@given(sets, st.integers(1, 50))
def test_the_parts_of_a_range_hold_equally_many(held: set[int], parts: int) -> None:
    ours = ordered(held)
    bounds = ours.divide(START, END, parts)
    assert bounds == sorted(set(bounds))
    assert bounds[-1] == END
    sizes = [(ours.before(high) - ours.before(low)).size for low, high in pairwise([START, *bounds])]
    assert sum(sizes) == len(held)
    assert len(sizes) == max(1, min(parts, len(held)))
    assert max(sizes) - min(sizes) <= 1


def test_chunks_stay_small_where_everything_comes_at_one_end() -> None:
    grown = ordered(())
    for n in range(20 * CHUNK):
        grown.add(n)
    assert max(map(len, grown._chunks)) <= CHUNK
    assert len(grown._chunks) < 50


# -- comparing --------------------------------------------------------------------------------------------------------


class Traffic:
    """What crossed the wire, in bytes of packed ranges."""

    def __init__(self) -> None:
        self.rounds = self.up = self.down = 0


def differences(
    ours: OrderedSet[V], theirs: OrderedSet[V], meanwhile: Callable[[], None] = lambda: None
) -> tuple[Comparison[V], Traffic]:
    """Compare to the end, both ways over bytes."""
    comparison, traffic = Comparison(ours, drops=True), Traffic()
    while parts := comparison.ask():
        asked = pack(parts)
        answer = pack(compare(theirs, unpack(asked, SYNC_RANGES_PER_ASK)))
        assert len(answer) <= PAGE_BYTES - RECORD_BYTES
        comparison.take(unpack(answer, 2 * SYNC_PARTS))
        traffic.rounds, traffic.up, traffic.down = (
            traffic.rounds + 1, traffic.up + len(asked), traffic.down + len(answer),
        )  # fmt: skip
        meanwhile()
    return comparison, traffic


def outcome(ours: OrderedSet[int], theirs: OrderedSet[int], comparison: Comparison[int]) -> set[int]:
    """What our set becomes once everything found was fetched and dropped."""
    there = {place_of(n)[:SHORT_BYTES]: n for n in theirs.between(START, END)}
    fetched = {there[place] for place in comparison.missing}
    fetched |= {n for low, high in comparison.empty for n in theirs.between(low, high)}
    return (set(ours.between(START, END)) | fetched) - set(comparison.surplus)


@settings(deadline=None, max_examples=80)
@given(sets, sets)
def test_any_two_sets_become_the_same(mine: set[int], other: set[int]) -> None:
    ours, theirs = ordered(mine), ordered(other)
    comparison, traffic = differences(ours, theirs)
    assert outcome(ours, theirs, comparison) == other
    assert len(comparison.missing) == len(set(comparison.missing))
    assert traffic.rounds <= 8


def test_equal_sets_cost_one_small_round() -> None:
    for count in (0, 1, 5000):
        ours, theirs = of_places(scattered(1, count)), of_places(scattered(1, count))
        comparison, traffic = differences(ours, theirs)
        assert (comparison.missing, comparison.empty, comparison.surplus) == ([], [], [])
        assert (traffic.rounds, traffic.up, traffic.down) == (1, 18, 2)


def test_who_has_nothing_lists_nothing() -> None:
    theirs = of_places(scattered(1, 20_000))
    comparison, traffic = differences(of_places([]), theirs)
    assert traffic.rounds == 1
    assert traffic.down < 6000
    assert comparison.missing == []
    assert sum(len(list(theirs.between(low, high))) for low, high in comparison.empty) == 20_000


def test_few_differences_among_many_take_two_rounds() -> None:
    """The ranges alone; `test_sync_wire` counts all bytes, of a million records, too."""
    count, differing, most_kib = 100_000, 100, 90
    places = scattered(7, count + differing)
    theirs = of_places(places[:count])
    half = differing // 2
    for first, end, missing in ((differing, count, differing), (0, count + differing, 0), (half, count + half, half)):
        comparison, traffic = differences(of_places(places[first:end]), theirs)
        assert len(comparison.missing) == missing
        assert traffic.rounds == 2
        assert traffic.up + traffic.down <= most_kib * 1024


def test_sets_that_change_meanwhile_are_compared_to_the_end() -> None:
    draw = random.Random(3)
    places = scattered(3, 6000)
    ours, theirs = of_places(places[:4000]), of_places(places[2000:])

    def meanwhile() -> None:
        for changed in (ours, theirs):
            for place in draw.sample(places, 50):
                if not changed.add(place):
                    changed.discard(place)

    _, traffic = differences(ours, theirs, meanwhile)
    assert traffic.rounds < 10


# -- peers that lie ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00",
        b"\x3f" + bytes(63),
        b"\x01\x05\x01\x05",
        b"\x01\x05\x01\x04",
        b"\x41\x05" + bytes(15),
        b"\x81\x05",
        b"\x81\x05\x00\x01" + bytes(15),
        b"\x81\x05" + (SYNC_LISTED + 1).to_bytes(2, "big") + bytes(16 * (SYNC_LISTED + 1)),
        b"\xc1\x05",
        bytes([PLACE_BYTES + 1]) + bytes(PLACE_BYTES + 1),
        b"".join(b"\x01" + bytes([n]) for n in range(1, 12)),
    ],
)
def test_malformed_ranges_are_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        unpack(raw, 10)


@given(st.binary(max_size=300))
def test_random_bytes_are_ranges_or_refused(raw: bytes) -> None:
    try:
        parts = unpack(raw, 1000)
    except Refused:
        return
    assert pack(parts) == raw


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [Part(b"\x06")],
        [Part(END, fingerprint=bytes(16))],
        [Part(END, places=(b"\xff" * 16,))],
        [Part(b"\x05"), Part(END, places=(b"\x04" * 16,))],
    ],
    ids=["nothing", "short of the end", "no finer", "above the range", "below the range"],
)
def test_an_answer_that_is_none_is_refused(answer: list[Part]) -> None:
    comparison = Comparison(of_places(scattered(1, 500)))
    comparison.ask()
    with pytest.raises(Refused):
        comparison.take(answer)


def test_an_answer_to_what_was_not_asked_is_refused() -> None:
    ours = of_places(scattered(1, 5000))
    comparison = Comparison(ours)
    comparison.ask()
    comparison.take([Part(b"\x05\x40"), Part(b"\x05\x80", fingerprint=bytes(16)), Part(END)])
    comparison.ask()
    with pytest.raises(Refused):
        comparison.take([Part(b"\x05\x20", places=()), Part(END)])


def test_a_liar_can_make_nobody_ask_forever_or_remember_everything() -> None:
    """It cuts every range in two, each differing, as long as it is listened to."""
    comparison = Comparison(of_places(scattered(1, 100)))

    def lie(asked: list[Part]) -> list[Part]:
        said, low = [], START
        for part in asked:
            if part.fingerprint is not None and len(low) < PLACE_BYTES:
                said.append(Part(low + b"\x00" + bytes([1 + len(low)]), fingerprint=bytes(16)))
            said.append(Part(part.high, fingerprint=bytes(16)) if said and said[-1].fingerprint else Part(part.high))
            low = part.high
        return said

    most = 0
    with pytest.raises(Refused):
        for _ in range(200_000):
            asked = comparison.ask()
            assert asked
            comparison.take(lie(asked))
            most = max(most, len(comparison._frontier))
    assert most <= 65_536 + SYNC_RANGES_PER_ASK
