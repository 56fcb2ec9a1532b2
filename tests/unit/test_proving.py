"""A proof reads what the nonce picks and nothing less, and misses what is gone as seldom as the formulas say."""

import os
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.replication.proving import PROOF_BLOCKS, RANGE_BYTES, picked, proofs, prove, range_of
from store.cid import DAG_PB, RAW, cid_of
from store.dag_pb import PBLink, encode_node
from store.errors import BlockNotFound
from tests.unit.store.made import block

ROUNDS = 2000
"""Enough for three standard deviations of 0.035."""


def made_directory() -> tuple[bytes, dict[bytes, bytes]]:
    """A root with a dozen leaves below it, one of them larger than what is read of it."""
    leaves = dict(block(f"leaf {number}", 400_000 if number == 3 else 300) for number in range(12))
    node = encode_node([PBLink(cid) for cid in leaves], b"\x08\x01")
    root = cid_of(DAG_PB, node)
    return root, {root: node, **leaves}


def nonce_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.mark.parametrize(("count", "missing"), [(40, 1), (100, 5), (1000, 50), (16, 1)])
def test_a_proof_misses_lost_blocks_as_seldom_as_the_formula_says(count: int, missing: int) -> None:
    cids = [cid_of(RAW, number.to_bytes(4, "big")) for number in range(count)]
    gone = set(cids[:missing])
    passed = sum(gone.isdisjoint(picked(nonce_of(number), cids)) for number in range(ROUNDS)) / ROUNDS
    chance = comb(count - missing, PROOF_BLOCKS) / comb(count, PROOF_BLOCKS)
    assert abs(passed - chance) <= 0.035
    assert count > PROOF_BLOCKS or chance == passed == 0


@pytest.mark.parametrize("gap_bytes", [1, 100_000, 400_000, 900_000])
def test_a_range_misses_a_gap_as_seldom_as_the_formula_says(gap_bytes: int) -> None:
    data = bytearray(1 << 20)
    data[:gap_bytes] = b"x" * gap_bytes  # where the bytes are that the liar has not kept
    cid = cid_of(RAW, bytes(data))
    kept = bytes(data)
    missed = sum(b"x" not in range_of(nonce_of(number), cid, kept)[1] for number in range(ROUNDS)) / ROUNDS
    assert abs(missed - (1 - min(1.0, (gap_bytes + RANGE_BYTES - 1) / len(kept)))) <= 0.035


@given(st.binary(min_size=32, max_size=32), st.integers(0, 600_000))
def test_a_range_is_of_the_block_and_as_long_as_it_should_be(nonce: bytes, size_bytes: int) -> None:
    data = (b"0123456789" * (size_bytes // 10 + 1))[:size_bytes]
    start, part = range_of(nonce, cid_of(RAW, b"any"), data)
    assert len(part) == min(size_bytes, RANGE_BYTES)
    assert (data + data)[start : start + len(part)] == part


def test_holders_prove_alike_but_none_for_another() -> None:
    root, blocks = made_directory()
    nonce = os.urandom(32)
    expected = proofs(nonce, ["ada", "bob"], blocks, blocks.__getitem__)
    assert prove(nonce, "ada", root, blocks.__getitem__) == expected["ada"]
    assert prove(nonce, "bob", root, blocks.__getitem__) == expected["bob"] != expected["ada"]
    assert prove(bytes(32), "ada", root, blocks.__getitem__) != expected["ada"]


def test_a_small_root_cannot_be_proven_without_each_of_its_blocks() -> None:
    root, blocks = made_directory()
    assert 2 < len(blocks) <= PROOF_BLOCKS
    for cid in blocks:

        def get(wanted: bytes, gone: bytes = cid) -> bytes:
            if wanted == gone:
                raise BlockNotFound(wanted)
            return blocks[wanted]

        with pytest.raises(BlockNotFound):
            prove(os.urandom(32), "ada", root, get)
