"""CIDs: binary and text forms, and blocks held against them."""

import contextlib
import hashlib
import subprocess
import sys

import blake3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID

from store.cid import (
    DAG_CBOR,
    DAG_JSON,
    DAG_PB,
    RAW,
    cid_of,
    cid_text,
    codec_name,
    codec_of,
    identity_cid,
    inline_block,
    parse_cid,
    split_cid,
    verify_block,
)
from store.errors import BadCid, BlockCorrupt

DIGEST = hashlib.sha256(b"x").digest()
V1 = b"\x01\x55\x12\x20" + DIGEST
V0 = b"\x12\x20" + DIGEST


def test_text_forms_are_those_of_the_multiformats_library() -> None:
    assert cid_text(V1) == CID.decode(V1).encode("base32")
    assert cid_text(V0) == str(CID.decode(V0)) == "QmRQ353oFNqt8zfZ9X1HgRUszwv9RkEEwmMZZkbkYEsybn"


@given(st.sampled_from([RAW, DAG_PB, DAG_CBOR, DAG_JSON]), st.binary(max_size=100))
def test_a_cid_survives_its_text_form_in_every_base(codec: int, block: bytes) -> None:
    cid = cid_of(codec, block)
    assert codec_of(cid) == codec
    verify_block(cid, block)
    assert parse_cid(cid_text(cid)) == cid
    for base in ("base16", "base32", "base32upper", "base36", "base58btc", "base64url"):
        assert parse_cid(CID.decode(cid).encode(base)) == cid


def test_every_accepted_hash_function_checks_blocks() -> None:
    digests = {
        b"\x12\x20": hashlib.sha256(b"block").digest(),
        b"\x13\x40": hashlib.sha512(b"block").digest(),
        b"\xa0\xe4\x02\x20": hashlib.blake2b(b"block", digest_size=32).digest(),
        b"\x1e\x20": blake3.blake3(b"block").digest(),
        b"\x00\x05": b"block",
    }
    for prefix, digest in digests.items():
        cid = b"\x01\x55" + prefix + digest
        verify_block(cid, b"block")
        with pytest.raises(BlockCorrupt, match=f"block {cid_text(cid)}: bytes hash to b") as caught:
            verify_block(cid, b"other")
        assert caught.value.cid == cid
        verify_block(caught.value.found, b"other")


def test_identity_cids_hold_their_block() -> None:
    cid = identity_cid(RAW, b"hello")
    assert inline_block(cid) == b"hello"
    assert inline_block(V1) is None
    assert parse_cid("bafkqaaa") == identity_cid(RAW, b"")
    assert inline_block(identity_cid(RAW, bytes(128))) == bytes(128)
    with pytest.raises(BadCid, match="129"):
        identity_cid(RAW, bytes(129))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no text form"),
        ("b", "cut short"),
        ("x", "no text form"),
        ("Qm", "no text form"),
        ("Q" * 46, "no text form"),
        ("Qm" + "0" * 44, "no text form"),
        ("b" + "a" * 5000, "characters long"),
        ("bafyreib@", "no text form"),
        ("é", "no text form"),
        ("b\ud800", "no text form"),
        ("f0255" + "1220" + DIGEST.hex(), "version 2"),
        ("f0155" + "1220" + DIGEST.hex() + "00", "announces 32"),
        ("f0155" + "1210" + DIGEST[:16].hex(), "16 bytes, 32 expected"),
        ("f0155" + "1114" + DIGEST[:20].hex(), "hash function sha1 is not accepted"),
        ("f01d5001220" + DIGEST.hex(), "shortest form"),
        ("f0155008101" + "00" * 129, "holds 129 bytes itself"),
        ("z" + cid_text(V0), "bare base58"),
        ("12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust", "no text form"),
    ],
)
def test_what_is_no_usable_cid_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(BadCid, match=why) as caught:
        parse_cid(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@given(
    st.one_of(st.binary(max_size=60), st.builds(lambda a, b: V1[:a] + b, st.integers(0, 36), st.binary(max_size=40)))
)
def test_any_bytes_are_a_cid_or_refused(raw: bytes) -> None:
    try:
        parts = split_cid(raw)
    except BadCid:
        return
    assert parts.version in (0, 1)
    assert parse_cid(cid_text(raw)) == raw


@given(st.text(max_size=60))
def test_any_text_is_a_cid_or_refused(text: str) -> None:
    for candidate in (text, "b" + text, "Qm" + text):
        with contextlib.suppress(BadCid):
            assert parse_cid(cid_text(parse_cid(candidate)))


def test_codecs_are_named() -> None:
    assert codec_name(DAG_JSON) == "dag-json"
    assert codec_name(0x3FFF_FFFF) == "0x3fffffff"


def test_importing_warns_of_nothing() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", "import store.car, store.dag, store.unixfs"], check=True)
