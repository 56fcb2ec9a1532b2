"""The wire format is what the vectors say, both ways; and hostile bytes are refused, cheaply, and never more."""

import json
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import messages as m
from protocol.codec import decode, decode_map, encode, encode_value
from protocol.errors import Reason, Refused
from protocol.identity import KeyPair, parse_peer_id, peer_id_of, public_key_of, verify
from protocol.invite import parse_invite
from protocol.limits import CBOR_ITEMS, MESSAGE_BYTES, RECORD_BYTES
from protocol.records import parse_record, sign_record
from tests.wire_examples import FOLDER, MESSAGES, PEER, RECORDS, ROOT, STATEMENTS, read_back, vectors

VECTORS = sorted(FOLDER.glob("*.json"))
ALL_MESSAGES = tuple({type(message) for message in MESSAGES})


def test_every_kind_has_a_vector() -> None:
    assert {path.stem for path in VECTORS} == set(vectors())


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vectors_both_ways(path: Path) -> None:
    raw = bytes.fromhex(json.loads(path.read_text())["hex"])
    assert vectors()[path.stem] == raw
    found, expected = read_back(path.stem, raw)
    assert found == expected


def read_as_anything(raw: bytes) -> None:
    """Give bytes to every reader there is; each takes them or refuses them."""
    readers = [parse_record, m.open_summary, lambda b: m.read_message(b, ALL_MESSAGES)]
    readers += [read for _, read, _ in STATEMENTS.values()]
    for read in readers:
        with suppress(Refused):
            read(raw)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(raw: bytes) -> None:
    read_as_anything(raw)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(vectors())), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=3))
def test_damaged_bytes_are_refused_or_mean_something_else(name: str, damage: list[tuple[int, int]]) -> None:
    raw = bytearray(vectors()[name])
    for place, value in damage:
        raw[place % len(raw)] = value
    if bytes(raw) == vectors()[name]:
        return
    read_as_anything(bytes(raw))
    if name.startswith("record-"):
        with suppress(Refused):
            assert parse_record(bytes(raw)) is None, "only a kind nobody knows passes without a signature"


CBOR = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.sampled_from(ALL_MESSAGES), st.data())
def test_bodies_with_wrong_fields_are_refused(kind: type[m.Message], data: st.DataObject) -> None:
    example = next(message for message in MESSAGES if type(message) is kind)
    body = dict(example.to_body())
    for name in body:
        if data.draw(st.booleans()):
            body[name] = data.draw(CBOR)
    read_as_anything(encode(str(example.KIND), body))


@settings(deadline=None)
@given(st.sampled_from(sorted(RECORDS)), st.data())
def test_records_with_wrong_fields_are_refused(name: str, data: st.DataObject) -> None:
    body = dict(RECORDS[name].to_body())
    field = data.draw(st.sampled_from(sorted(body)))
    body[field] = data.draw(CBOR)
    with suppress(Refused):
        type(RECORDS[name]).from_body(body)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x81" * 100_000 + b"\x00", id="lists in lists"),
        pytest.param(b"\xa1\x61a" * 100_000 + b"\x00", id="maps in maps"),
        pytest.param(b"\x81" * 60_000 + b"\x00", id="deep, below the scan"),
        pytest.param(b"\x9a\x00\x0f\x00\x00" + b"\x80" * 0xF0000, id="a million empty lists"),
        pytest.param(b"\x9a\x00\x0f\x00\x00" + b"\xa0" * 0xF0000, id="a million empty maps"),
        pytest.param(b"\x9b" + b"\xff" * 8, id="a list longer than the world"),
        pytest.param(b"\xbb" + b"\xff" * 8 + bytes(70_000), id="a map longer than the world"),
        pytest.param(b"\x5b" + b"\xff" * 8 + bytes(70_000), id="bytes longer than the world"),
        pytest.param(b"\xa1\x61v\x01" + bytes(2 * MESSAGE_BYTES), id="too large"),
    ],
)
def test_hostile_bytes_cost_little(raw: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            decode_map(raw)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("a2616101616102", id="a key twice"),
        pytest.param("a2616201616102", id="keys out of order"),
        pytest.param("a161611801", id="a long one"),
        pytest.param("a16161fa3fc00000", id="a short float"),
        pytest.param("a16161fb7ff8000000000000", id="not a number"),
        pytest.param("a161619f01ff", id="indefinite"),
        pytest.param("a16161c101", id="a tag"),
        pytest.param("a16161582401551220" + "00" * 32, id="a CID as plain bytes"),
        pytest.param("a1616161ff", id="text that is no UTF-8"),
        pytest.param("a10101", id="a number as key"),
        pytest.param("a1616101" + "00", id="something behind"),
        pytest.param("01", id="no map"),
        pytest.param("", id="nothing"),
    ],
)
def test_only_canonical_bytes_are_taken(raw: str) -> None:
    with pytest.raises(Refused) as caught:
        decode_map(bytes.fromhex(raw))
    assert caught.value.reason is Reason.MALFORMED


@given(CBOR)
def test_what_is_encoded_is_decoded(value: object) -> None:
    assert decode_map(encode_value({"x": value})) == {"x": value}


def test_as_many_items_as_the_limit_are_taken() -> None:
    assert len(decode_map(encode_value({"x": [0] * (CBOR_ITEMS - 5), "y": bytes(70_000)}))["x"]) == CBOR_ITEMS - 5
    with pytest.raises(Refused):
        decode_map(encode_value({"x": [0] * CBOR_ITEMS, "y": bytes(70_000)}))


def test_unknown_kinds_are_ignored_and_unknown_versions_refused() -> None:
    assert decode(encode("later", {}), {"pin"}) is None
    assert m.read_message(encode("later", {}), ALL_MESSAGES) is None
    with pytest.raises(Refused) as caught:
        decode(encode_value({"v": 2, "k": "pin", "b": {}}), {"pin"})
    assert caught.value.reason is Reason.UNKNOWN_VERSION


def test_fields_of_a_later_version_are_left_alone() -> None:
    body = {**RECORDS["flow"].to_body(), "colour": "blue"}
    assert type(RECORDS["flow"]).from_body(body) == RECORDS["flow"]


@pytest.mark.parametrize("name", sorted({**RECORDS["pin"].to_body(), "deleted": True, "trashed_ms": 1}))
def test_each_field_of_a_pin_is_read_and_checked_whatever_others_there_are(name: str) -> None:
    full, small = {**RECORDS["pin"].to_body(), "deleted": True, "trashed_ms": 1}, RECORDS["pin-small"].to_body()
    read = type(RECORDS["pin"]).from_body({**small, name: full[name]})
    assert read.to_body() == {**small, name: full[name]}
    with pytest.raises(Refused):
        type(RECORDS["pin"]).from_body({**small, name: {"no": "field"}})


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", "a/./b", "a/..", ".", "", "a\0b"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    body = {**RECORDS["pin"].to_body(), "name": name}
    with pytest.raises(Refused):
        type(RECORDS["pin"]).from_body(body)


def test_a_record_that_nobody_would_take_is_not_signed() -> None:
    pin = RECORDS["pin-small"]
    for wrong in ({"root": b"abc"}, {"flow": "x" * 129}, {"name": "../a"}, {"name": "\udc80"}, {"width_px": 0}):
        with pytest.raises(Refused):
            sign_record(type(pin)(**{**{k: getattr(pin, k) for k in pin.__slots__}, **wrong}), PEER)


def test_the_largest_pin_fits() -> None:
    pin = RECORDS["pin"]
    full = {
        "name": "n" * 4096,
        "origin": "o" * 2048,
        "operations": ("x" * 128,) * 64,
        "sources": ("/" + "s" * 255,) * 20,
        "flow": "f" * 128,
        "root": b"r" * 128,
        "original": b"r" * 128,
        "parent": b"r" * 128,
    }
    raw = sign_record(type(pin)(**{**{k: getattr(pin, k) for k in pin.__slots__}, **full}), PEER).raw
    assert 20_000 < len(raw) < RECORD_BYTES
    assert parse_record(raw) is not None


@given(st.binary(min_size=32, max_size=32))
def test_peer_ids_give_back_the_key(seed: bytes) -> None:
    key = KeyPair(seed)
    assert len(key.peer_id) == 52
    assert key.peer_id.startswith("12D3KooW")
    assert public_key_of(key.peer_id) == key.public_key
    assert peer_id_of(key.public_key) == parse_peer_id(key.peer_id)
    assert verify(key.peer_id, b"x", key.sign(b"x"))
    assert not verify(key.peer_id, b"y", key.sign(b"x"))
    assert not verify(PEER.peer_id, b"x", key.sign(b"x"))
    assert not verify("nobody", b"x", key.sign(b"x"))
    assert not verify(key.peer_id, b"x", b"short")


@given(st.text(max_size=60))
def test_other_texts_are_no_peer_ids(text: str) -> None:
    with pytest.raises(Refused):
        parse_peer_id(text)


def test_the_peer_id_of_the_libp2p_specification() -> None:
    seed = bytes.fromhex("7e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d")
    public = "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
    assert KeyPair(seed).public_key.hex() == public


@given(st.text(max_size=200))
def test_other_lines_are_no_invites(text: str) -> None:
    for line in (text, "pina1" + text):
        with pytest.raises(Refused) as caught:
            parse_invite(line)
        assert caught.value.reason is Reason.DAMAGED


def test_a_statement_is_bound_to_its_kind_and_signer() -> None:
    beat = STATEMENTS["beat"][0]
    with pytest.raises(Refused):
        m.open_lease(beat)
    forged = decode_map(beat)
    forged["s"] = KeyPair(bytes(32)).sign(b"pinakothek-signed:" + forged["p"])
    with pytest.raises(Refused) as caught:
        m.open_beat(encode_value(forged))
    assert caught.value.reason is Reason.BAD_SIGNATURE
    assert m.open_lease(STATEMENTS["lease"][0]).root == ROOT
