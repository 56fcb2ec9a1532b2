"""What this peer says that it holds: each step in the store's order, whatever order the threads come back in."""

import itertools

import pytest

from node.swarm.own_holdings import OwnHoldings
from protocol.holdings_messages import Change, Element

A, B = b"\x01\x55root-a", b"\x01\x55root-b"
STEPS = [
    (1, Change(A, "ipfs", True)),
    (2, Change(A, "ipfs", False)),
    (3, Change(A, "ipfs", True)),
    (4, Change(B, "ipfs", True)),
]


def own(epoch: int = 1, seq: int = 0, *roots: bytes) -> OwnHoldings:
    return OwnHoldings(epoch, seq, [Element(root, "ipfs") for root in roots], on_step=lambda: None)


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)))
def test_steps_come_in_any_order_and_are_told_in_the_stores(order: tuple[tuple[int, Change], ...]) -> None:
    mine = own()
    told: list[Change] = []
    for seq, change in order:
        mine.note(1, seq, change)
        while (delta := mine.next_delta()) is not None:
            told += delta.changes
            assert delta.after.order == (1, len(told))
    assert told == [change for _, change in STEPS]
    assert mine.here == {Element(A, "ipfs"), Element(B, "ipfs")}
    assert mine.order == (1, 4)


def test_a_new_epoch_begins_with_what_was_held_then_and_forgets_late_steps_of_the_old_one() -> None:
    mine = own(1, 7, A)
    mine.note(1, 9, Change(B, "ipfs", True))  # step 8 never comes
    mine.note(4, 1, Change(B, "ipfs", True))  # the store is ahead of what it tells
    mine.begin(4, 0, [])
    assert mine.order == (4, 1)
    mine.note(1, 8, Change(A, "ipfs", True))
    assert mine.here == {Element(B, "ipfs")}
    assert mine.next_delta() is not None
    assert mine.next_delta() is None
    mine.note(4, 2, Change(A, "ipfs", True))
    delta = mine.next_delta()
    assert delta is not None
    assert delta.after.order == (4, 2)
    assert delta.after.count == 2


def test_what_lies_beside_the_embedded_store_is_known_by_kind() -> None:
    mine = OwnHoldings(1, 0, [Element(A, "s3"), Element(A, "ipfs")], on_step=lambda: None)
    mine.note(1, 1, Change(B, "s3", True))
    mine.note(1, 2, Change(A, "s3", False))
    assert (mine.beside("s3"), mine.beside("local")) == ({B}, frozenset())
    mine.begin(2, 0, [Element(A, "local")])
    assert (mine.beside("s3"), mine.beside("local")) == (frozenset(), {A})
