"""What a person means by REF."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from node import lookup
from node.errors import Ambiguous, NotFound
from node.lookup import Lookup
from node.operations.bin import Bin
from node.operations.looking import Looking
from protocol.author import Author
from protocol.charter import swarm_hash
from protocol.founding import found_swarm
from protocol.identity import KeyPair
from protocol.pin import Pin, pin_id
from protocol.recordset import RecordSet
from store.cid import DAG_PB, RAW, cid_of, cid_text

NOW_MS = 1_800_000_000_000


class Swarm:
    """A record set with one curator, and the lookup over it."""

    def __init__(self) -> None:
        key, steward = KeyPair(b"a" * 32), KeyPair(b"s" * 32)
        founding = found_swarm(key.peer_id, steward, KeyPair(b"r" * 32).peer_id, name="s", now_ms=NOW_MS)
        self.records = RecordSet(swarm_hash(founding.swarm_id))
        self.author = Author(key)
        for signed in founding.records:
            self.records.merge(signed, NOW_MS)
            self.author.clock.saw(signed.stamp)
        self.lookup = Lookup(self.records)

    def pin(self, root: bytes, flow: str = "f", name: str = "a.jpg", original: bytes | None = None) -> Pin:
        return self.write(Pin(id=pin_id(flow, root, name), flow=flow, root=root, name=name, original=original))

    def write(self, pin: Pin) -> Pin:
        merged = self.records.merge(self.author.write(pin, NOW_MS), NOW_MS)
        self.lookup.changed(merged.changed_roots)
        return pin


@pytest.fixture
def swarm() -> Swarm:
    return Swarm()


def root_of(number: int) -> bytes:
    return cid_of(DAG_PB, bytes([number]))


def test_a_root_its_prefix_its_original_and_its_name_all_find_it(swarm: Swarm) -> None:
    root, original = root_of(1), cid_of(RAW, b"original")
    swarm.pin(root, original=original)
    swarm.pin(root_of(2), name="b.jpg")
    text = cid_text(root)
    for ref in (text, text[:-5], text[:20], cid_text(original), "a.jpg"):
        assert swarm.lookup.find(ref) == root


def test_every_prefix_finds_what_begins_with_it(swarm: Swarm) -> None:
    for number in range(60):
        swarm.pin(root_of(number), name=f"{number}.jpg")
    texts = {cid_text(root_of(number)): root_of(number) for number in range(60)}
    for text, root in texts.items():
        for length in range(1, len(text)):
            same = [other for other in texts if other.startswith(text[:length])]
            if len(same) == 1:
                assert swarm.lookup.find(text[:length]) == root
            else:
                with pytest.raises(Ambiguous) as refused:
                    swarm.lookup.find(text[:length])
                assert len(refused.value.candidates) == min(len(same), 20)
                assert set(refused.value.candidates) <= set(same)


def test_a_short_prefix_gives_way_to_a_name(swarm: Swarm) -> None:
    swarm.pin(root_of(1), name="bafy")
    swarm.pin(root_of(2), name="b.jpg")
    assert swarm.lookup.find("bafy") == root_of(1)
    with pytest.raises(Ambiguous, match="stands for 2 images"):
        swarm.lookup.find("bafyb")
    for number in range(3, 40):
        swarm.pin(root_of(number), name=f"{number}.jpg")
    with pytest.raises(Ambiguous, match="stands for more than 20 images") as refused:
        swarm.lookup.find("bafyb")
    assert len(refused.value.candidates) == 20


def test_a_prefix_of_more_images_than_are_listed_is_ambiguous_in_each_flow(swarm: Swarm) -> None:
    """Else the one of them that is the flow's among the first, of many more, would be shown, or removed."""
    roots = sorted(root_of(number) for number in range(60))
    for place, root in enumerate(roots):
        swarm.pin(root, flow="rare" if place in (7, 50) else "common", name=f"{place}.jpg")
    with pytest.raises(Ambiguous, match="stands for 2 images") as refused:
        swarm.lookup.find("bafybei", "rare")
    assert list(refused.value.candidates) == sorted(map(cid_text, (roots[7], roots[50])))
    pin = swarm.pin(roots[55], flow="alone", name="alone.jpg")
    assert swarm.lookup.find("b", "alone") == roots[55]
    swarm.write(replace(pin, trashed_ms=NOW_MS))
    assert swarm.lookup.find("bafy", trashed=True) == roots[55]
    with pytest.raises(NotFound):
        swarm.lookup.find("bafy", "alone")


def test_a_name_in_two_flows_is_ambiguous_until_one_is_named(swarm: Swarm) -> None:
    swarm.pin(root_of(1), flow="one")
    swarm.pin(root_of(2), flow="two")
    with pytest.raises(Ambiguous):
        swarm.lookup.find("a.jpg")
    assert swarm.lookup.find("a.jpg", "two") == root_of(2)


def test_what_is_in_the_trash_is_found_only_there(swarm: Swarm) -> None:
    pin = swarm.pin(root_of(1))
    swarm.write(replace(pin, trashed_ms=NOW_MS))
    with pytest.raises(NotFound):
        swarm.lookup.find("a.jpg")
    assert swarm.lookup.find("a.jpg", trashed=True) == root_of(1)


def test_an_original_that_was_also_pinned_and_unpinned_still_finds_its_image(swarm: Swarm) -> None:
    original = cid_of(RAW, b"original")
    swarm.pin(root_of(1), original=original)
    alone = swarm.pin(original, name="alone")
    assert swarm.lookup.find(cid_text(original)) == original
    swarm.write(replace(alone, trashed_ms=NOW_MS))
    assert swarm.lookup.find(cid_text(original)) == root_of(1)


@pytest.mark.parametrize("ref", ["", "c", "bafz", "bafkqaaa-no-such", "Qm", "no.jpg", "b" * 200, "bäfybei-x"])
def test_nothing_of_that_name(swarm: Swarm, ref: str) -> None:
    swarm.pin(root_of(1))
    with pytest.raises(NotFound):
        swarm.lookup.find(ref)


def test_roots_that_come_and_go_after_somebody_looked_are_in_order_at_the_next_look(swarm: Swarm) -> None:
    ends = replace(swarm.pin(root_of(1)), expires_ms=NOW_MS + 1)
    swarm.write(ends)
    swarm.pin(root_of(2), name="b.jpg")
    assert list(swarm.lookup.roots_after(b"")) == sorted([root_of(1), root_of(2)])
    swarm.pin(root_of(3), name="c.jpg")
    swarm.lookup.changed(swarm.records.due(NOW_MS + 2).roots)
    assert list(swarm.lookup.roots_after(b"")) == sorted([root_of(2), root_of(3)])


def hint_for(swarm: Swarm, ref: str, flow: str | None = None) -> str | None:
    with pytest.raises(NotFound) as refused:
        swarm.lookup.find(ref, flow)
    return refused.value.hint


async def test_for_a_stranger_at_the_gateway_no_pins_are_looked_through(swarm: Swarm) -> None:
    swarm.pin(root_of(1), name="trip/day 1/a.jpg")
    parts: Any = SimpleNamespace(records=SimpleNamespace(counting=swarm.records), lookup=swarm.lookup)
    looking = Looking(parts, Bin(swarm.records))
    with patch.object(swarm.records, "pins_by_flow", side_effect=AssertionError), pytest.raises(NotFound):
        await looking.resolve("a.jpg", None)


def test_the_one_name_that_differs_by_its_folder_is_told(swarm: Swarm, monkeypatch: pytest.MonkeyPatch) -> None:
    swarm.pin(root_of(1), name="trip/day 1/a.jpg")
    told = "the only image with such a name is trip/day 1/a.jpg, in flow f"
    for ref in ("a.jpg", "day 1/a.jpg", "holiday/a.jpg"):
        assert hint_for(swarm, ref) == told
    for ref in ("b.jpg", "trip/day 1", "trip/", "xa.jpg", ""):
        assert hint_for(swarm, ref) is None
    assert hint_for(swarm, "a.jpg", flow="g") is None
    swarm.pin(root_of(1), name="trip/day 1/a.jpg", flow="g")
    assert hint_for(swarm, "a.jpg") == told, "the same image once more"
    swarm.write(replace(swarm.pin(root_of(2), name="old/a.jpg"), trashed_ms=NOW_MS))
    assert hint_for(swarm, "a.jpg") == told, "what lies in the trash is no image to get"
    swarm.pin(root_of(3), name="a b/a.jpg")
    assert hint_for(swarm, "a.jpg") is None, "two are called so"
    swarm.pin(root_of(4), name="old/c.jpg")
    assert hint_for(swarm, "c.jpg") is not None
    monkeypatch.setattr(lookup, "LOOKED_THROUGH", swarm.records.pin_count - 1)
    assert hint_for(swarm, "c.jpg") is None, "a large swarm is not looked through"
