"""Whoever checks a signature, and by whichever library, decides the same: on what is honest, and on what is made to divide."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import nacl.bindings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ed25519 import Check, _by_dalek, _by_libsodium, _is_sound, checker
from protocol.identity import KeyPair

SPECCHECK = json.loads((Path(__file__).parent.parent / "vectors/ed25519.json").read_text())
ORDER = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19
TORSION = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")  # a point of order eight

Maker = Callable[[bytes], Check]


@pytest.fixture(params=[_by_dalek, _by_libsodium])
def make(request: pytest.FixtureRequest) -> Maker:
    """`checker`, by one library and by the other."""
    by: Maker = request.param
    return lambda key: by(key) if _is_sound(key) else (lambda signature, message: False)


def torsion(times: int) -> bytes:
    """A multiple of the point of order eight; of none the identity."""
    point = (1).to_bytes(32, "little")
    for _ in range(times):
        point = nacl.bindings.crypto_core_ed25519_add(point, TORSION)
    return point


def point(scalar: int, times: int) -> bytes:
    """So many times the base point, and so many the point of order eight."""
    if not scalar:
        return torsion(times)
    base = nacl.bindings.crypto_scalarmult_ed25519_base_noclamp(scalar.to_bytes(32, "little"))
    return nacl.bindings.crypto_core_ed25519_add(base, torsion(times))


def hashed(r: bytes, key: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % ORDER


@pytest.mark.parametrize("case", SPECCHECK["cases"], ids=lambda case: case["what"])
def test_the_cases_of_the_paper_are_decided_as_libsodium_decides_them(case: dict[str, str | bool], make: Maker) -> None:
    key, message, signature = (bytes.fromhex(str(case[name])) for name in ("pub_key", "message", "signature"))
    assert make(key)(signature, message) is case["counts"]
    assert checker(key)(signature, message) is case["counts"]


@given(
    secret=st.integers(0, 2) | st.integers(0, ORDER - 1),
    nonce=st.integers(0, 2) | st.integers(0, ORDER - 1),
    key_torsion=st.integers(0, 7),
    nonce_torsion=st.integers(0, 7) | st.none(),
    too_large=st.booleans(),
    message=st.binary(max_size=40),
)
def test_the_equation_is_without_the_cofactor(
    secret: int, nonce: int, key_torsion: int, nonce_torsion: int | None, too_large: bool, message: bytes
) -> None:
    key = point(secret, key_torsion)
    if nonce_torsion is None:  # the one, where there is one, that makes the equation hold
        nonce_torsion = next(
            (t for t in range(8) if (hashed(point(nonce, t), key, message) * key_torsion + t) % 8 == 0), 0
        )
    r = point(nonce, nonce_torsion)
    h = hashed(r, key, message)
    s = (nonce + h * secret) % ORDER + too_large * ORDER
    holds = (h * key_torsion + nonce_torsion) % 8 == 0
    counts = holds and not too_large and secret != 0 and nonce != 0
    signature = r + s.to_bytes(32, "little")
    for by in (_by_dalek, _by_libsodium):
        assert (_is_sound(key) and by(key)(signature, message)) is counts
    assert checker(key)(signature, message) is counts


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300), bit=st.integers(0, 64 * 8 - 1))
def test_an_honest_signature_counts_and_none_that_differs_by_a_bit(seed: bytes, message: bytes, bit: int) -> None:
    key = KeyPair(seed)
    signature = key.sign(message)
    other = bytearray(signature)
    other[bit // 8] ^= 1 << bit % 8
    for by in (_by_dalek, _by_libsodium):
        check = by(key.public_key)
        assert check(signature, message)
        assert not check(bytes(other), message)
        assert not check(signature, message + b"x")
        assert not check(signature[:-1], message)
        assert not check(signature + b"x", message)


@given(key=st.binary(min_size=32, max_size=32), signature=st.binary(min_size=64, max_size=64))
def test_nonsense_is_refused_by_both(key: bytes, signature: bytes) -> None:
    assert not _by_dalek(key)(signature, b"")
    assert not _by_libsodium(key)(signature, b"")


@pytest.mark.parametrize("y", [*range(P, 2**255), 0, 1, P - 1, int.from_bytes(TORSION, "little")])
@pytest.mark.parametrize("sign", [0, 2**255])
def test_a_key_of_another_encoding_or_of_small_order_signs_nothing(y: int, sign: int) -> None:
    assert not _is_sound((y | sign).to_bytes(32, "little"))


def test_a_key_of_another_length_signs_nothing() -> None:
    assert not _is_sound(bytes([2] * 31))
    assert not _is_sound(bytes([2] * 33))
    assert _is_sound(bytes([2] * 32))
