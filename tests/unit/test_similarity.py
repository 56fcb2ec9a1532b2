"""Near-duplicates are found as a plain comparison of every pair would find them, whatever comes and goes."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.similarity import NEAR_BITS, Near, Similarity

hashes = st.integers(0, 2**64 - 1)
few = st.sampled_from([bytes([n]) * 36 for n in range(6)])


class Pins:
    """As much of a record set as is looked at: one pin a root."""

    def __init__(self) -> None:
        self.phashes: dict[bytes, int | None] = {}
        self.trashed: set[bytes] = set()

    def roots(self) -> list[bytes]:
        return list(self.phashes)

    def live_pins(self, root: bytes) -> tuple[Any, ...]:
        if root not in self.phashes:
            return ()
        phash = self.phashes[root]
        record = SimpleNamespace(
            phash=None if phash is None else f"{phash:016x}", trashed_ms=1 if root in self.trashed else None
        )
        return (SimpleNamespace(record=record),)


def expected(pins: Pins, wanted: int, within_bits: int) -> list[Near]:
    near = [
        Near(root, (phash ^ wanted).bit_count())
        for root, phash in pins.phashes.items()
        if phash is not None and root not in pins.trashed and (phash ^ wanted).bit_count() <= within_bits
    ]
    return sorted(near, key=lambda each: (each.distance_bits, each.root))


step = st.tuples(few, st.sampled_from(["put", "trash", "drop", "plain", "ask"]), st.integers(0, 2**20 - 1))


@given(st.lists(step, max_size=40), st.booleans())
def test_what_is_near_follows_the_pins(story: list[tuple[bytes, str, int]], asked_first: bool) -> None:
    pins = Pins()
    similarity = Similarity(pins)  # type: ignore[arg-type]
    if asked_first:
        assert similarity.near(f"{0:016x}") == []
    for root, what, phash in story:
        match what:
            case "put":
                pins.phashes[root] = phash
                pins.trashed.discard(root)
            case "plain":
                pins.phashes[root] = None
            case "trash":
                pins.trashed.add(root)
            case "drop":
                pins.phashes.pop(root, None)
            case _:
                found = similarity.near(f"{phash:016x}", within_bits=NEAR_BITS)
                assert found == expected(pins, phash, NEAR_BITS)
        similarity.changed([root])
    assert similarity.near(f"{0:016x}", within_bits=20) == expected(pins, 0, 20)


@given(st.lists(hashes, max_size=200), hashes)
def test_every_bit_counts_once(phashes: list[int], wanted: int) -> None:
    pins = Pins()
    pins.phashes = {n.to_bytes(36, "big"): phash for n, phash in enumerate(phashes)}
    similarity = Similarity(pins)  # type: ignore[arg-type]
    assert similarity.near(f"{wanted:016x}", within_bits=64) == expected(pins, wanted, 64)
