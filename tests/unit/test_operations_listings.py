"""Pages of a long listing: nothing twice, nothing lost, whatever comes and goes meanwhile."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from sortedcontainers import SortedSet

from node.errors import Usage
from node.operations.listings import Entry, Listings, by_added, by_root, by_taken, ordered, start_after, time_rank, walk
from protocol.identity import KeyPair
from protocol.pin import Pin
from protocol.pin_index import SignedPin
from protocol.records import sign_record

KEY = KeyPair(b"k" * 32)


def pin(number: int, *, added_ms: int | None = None, taken_ms: int | None = None) -> SignedPin:
    root = b"\x01\x55\x12\x20" + number.to_bytes(32, "big")
    draft = Pin(id=number.to_bytes(16, "little"), flow="f", root=root, added_at_ms=added_ms, taken_at_ms=taken_ms)
    return sign_record(draft, KEY)


def everything(_: Pin) -> bool:
    return True


@given(st.lists(st.integers(-(2**62), 2**62), min_size=2))
def test_ranks_of_times_compare_as_the_times_do(times: list[int]) -> None:
    assert sorted(times, key=time_rank) == sorted(times)


def test_orders_are_by_root_by_when_added_and_by_when_taken() -> None:
    first, second = pin(1, added_ms=20, taken_ms=-5), pin(2, added_ms=10)
    for order, expected in ((by_root, [first, second]), (by_added, [second, first]), (by_taken, [first, second])):
        assert [entry.pin for entry in ordered([second, first], order, everything)] == expected


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 5))
def test_pages_by_cursor_give_every_pin_once_in_order(added: list[int], limit: int) -> None:
    entries = ordered([pin(n, added_ms=ms) for n, ms in enumerate(added)], by_added, everything)
    seen: list[SignedPin] = []
    cursor = None
    while page := entries[start_after(entries, cursor) :][:limit]:
        seen += [entry.pin for entry in page]
        cursor = page[-1].cursor
    assert seen == [entry.pin for entry in entries]


def test_a_cursor_still_stands_when_its_pin_has_gone() -> None:
    entries = ordered([pin(n) for n in range(5)], by_root, everything)
    cursor = entries[2].cursor
    del entries[2]
    assert entries[start_after(entries, cursor)].pin == pin(3)


@pytest.mark.parametrize("cursor", ["", "xyz", "00", "00.zz", "0.0.0"])
def test_what_is_no_cursor_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(Usage, match="no cursor"):
        start_after([], cursor)


async def test_a_listing_is_sorted_once_for_all_of_its_pages(autojump_clock: trio.abc.Clock) -> None:
    asked = 0

    def pins() -> Sequence[SignedPin]:
        nonlocal asked
        asked += 1
        return [pin(n) for n in range(4)]

    listings = Listings()
    rest = await listings.after("all", None, pins, by_root, everything)
    first = next(rest)
    assert [entry.pin for entry in await listings.after("all", first.cursor, pins, by_root, everything)] == [
        pin(1),
        pin(2),
        pin(3),
    ]
    assert asked == 1
    listings.changed()  # a listing under way goes on in its order, a new one has what is new
    assert len(list(await listings.after("all", first.cursor, pins, by_root, everything))) == 3
    assert asked == 1
    await listings.after("all", None, pins, by_root, everything)
    assert asked == 2
    await trio.sleep(600)
    assert len(list(await listings.after("all", first.cursor, pins, by_root, everything))) == 3
    assert asked == 3


async def test_only_a_few_orders_are_kept() -> None:
    listings = Listings()
    made: list[int] = []
    for name in range(10):
        await listings.after(name, None, lambda: [pin(1)], by_root, everything)
    await listings.after(0, pin(0).key.hex() + ".00", lambda: made.append(0) or [], by_root, everything)  # type: ignore[func-returns-value]
    assert made == [0]


def test_what_does_not_fit_is_left_out() -> None:
    trashed = sign_record(replace(pin(1).record, trashed_ms=5), KEY)
    entries = ordered([trashed, pin(2)], by_root, lambda one: one.trashed_ms is None)
    assert [entry.pin for entry in entries] == [pin(2)]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40), st.integers(1, 5), st.sets(st.integers(0, 300)))
def test_a_walk_gives_every_pin_once_in_order_and_takes_in_what_comes(
    numbers: list[int], limit: int, later: set[int]
) -> None:
    by_number: dict[bytes, list[SignedPin]] = {}
    for place, number in enumerate(numbers):  # several pins may want one root
        one = pin(number)
        other = sign_record(replace(one.record, id=place.to_bytes(16, "big")), KEY)
        by_number.setdefault(one.record.root, []).append(other)
    roots = SortedSet(by_number)

    def page(cursor: str | None) -> list[Entry]:
        after = lambda root: iter(roots.irange(root, inclusive=(False, True)))  # noqa: E731
        return list(islice(walk(after, lambda root: by_number.get(root, ()), cursor), limit))

    seen: list[Entry] = []
    while entries := page(seen[-1].cursor if seen else None):
        seen += entries
        if later:  # it counts if its place is still to come
            new = pin(later.pop())
            if new.record.root not in by_number:
                by_number[new.record.root] = [new]
                roots.add(new.record.root)
    assert seen == sorted(seen)
    assert len({(entry.rank, entry.key) for entry in seen}) == len(seen)
    first = {(pin(number).record.root, place) for place, number in enumerate(numbers)}
    assert first <= {(e.rank, int.from_bytes(e.pin.record.id, "big")) for e in seen}


async def test_a_first_page_is_sorted_again_only_after_a_change() -> None:
    listings, asked = Listings(), 0

    def pins() -> Sequence[SignedPin]:
        nonlocal asked
        asked += 1
        return [pin(n) for n in range(5)]

    for _ in range(3):
        assert len(list(await listings.after("x", None, pins, by_root, everything))) == 5
    assert asked == 1
    listings.changed()
    await listings.after("x", None, pins, by_root, everything)
    assert asked == 2
