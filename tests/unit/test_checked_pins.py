"""What another process finds in a page of records is what reading each of them here finds, or nothing."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol import checked_pins
from protocol.checked_pins import check_page, open_page
from protocol.codec import encode_value
from protocol.errors import Refused
from protocol.fields import Replicas
from protocol.flow import Flow
from protocol.identity import KeyPair
from protocol.pin import Pin
from protocol.records import Record, Signed, parse_record, sign_record, signed_by
from protocol.signed import CONTEXT, sign_body
from protocol.stamp import Stamp
from tests.unit.test_protocol_pin import NAMES, ORDINARY, VALUES

SENDABLE = [value for value in VALUES if value != 2**64]  # which has no encoding
KEYS = [KeyPair(bytes([n]) * 32) for n in range(1, 4)]
FULL = Pin(
    id=b"i" * 16, flow="fl\u00f6w", root=b"\x01\x70" + b"r" * 34, backend="s3", content="dag", name="\u00fc/\U0001f600.jpg",
    replicas=Replicas(2, 5), origin="https://example.org/", parent=b"p" * 36, operations=("a", "b"),
    sources=("/ip4/127.0.0.1/tcp/1",),
    expires_ms=9, trashed_ms=8, deleted=True, stamp=Stamp(5, 6),
)  # fmt: skip


def read_here(raw: bytes) -> Signed[Record] | None:
    try:
        return parse_record(raw)
    except Refused:
        return None


def checked(raws: list[bytes]) -> list[Signed[Record] | None]:
    return open_page(raws, check_page(raws))


@given(
    page=st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(NAMES), st.sampled_from(SENDABLE), max_size=2), st.sampled_from(KEYS)
        ),
        max_size=5,
    )
)
@example(page=[({}, key) for key in KEYS])
def test_a_pin_comes_over_as_it_is_read(page: list[tuple[dict[str, Any], KeyPair]]) -> None:
    raws = [sign_body(Pin.KIND, {**ORDINARY.to_body(), **changes}, key) for changes, key in page]
    for raw, found in zip(raws, checked(raws), strict=True):
        here = read_here(raw)
        assert repr(found) == repr(here)  # each field of the same type
        if found is not None:
            assert found.raw is raw
            assert found.record == here.record  # type: ignore[union-attr]


def test_each_value_of_each_field_comes_over() -> None:
    raws = [sign_body(Pin.KIND, {**ORDINARY.to_body(), name: value}, KEYS[0]) for name in NAMES for value in SENDABLE]
    here = [read_here(raw) for raw in raws]
    assert sum(found is not None for found in here) > 100
    assert list(map(repr, checked(raws))) == list(map(repr, here))


def test_a_page_that_cannot_be_taken_over_is_read_by_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = signed_by(KEYS[0].peer_id, replace(ORDINARY, flow=""), b"odd")
    monkeypatch.setattr(checked_pins, "_checked", lambda raw: odd)
    assert checked([b"good", b"odd"]) == [None, None]


def test_rare_fields_come_over_too() -> None:
    signed = sign_record(FULL, KEYS[0])
    [found] = checked([signed.raw])
    assert found is not None
    assert (repr(found), found.record) == (repr(signed), FULL)


def test_what_is_no_pin_of_its_author_is_left_to_the_caller() -> None:
    pin, flow = sign_record(ORDINARY, KEYS[0]), sign_record(Flow(name="f", stamp=Stamp(1, 0)), KEYS[0])
    payload = sign_body(Pin.KIND, ORDINARY.to_body(), KEYS[1])
    forged = encode_value({"p": payload, "s": KEYS[1].sign(CONTEXT + payload)})
    assert checked([b"", flow.raw, pin.raw, forged, pin.raw[:-1] + b"\0"]) == [None, None, pin, None, None]


def test_a_page_is_about_the_bytes_that_it_was_made_of() -> None:
    with pytest.raises(ValueError, match="argument"):
        open_page([b"a"], check_page([b"a", b"b"]))
