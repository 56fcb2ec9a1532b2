"""The short way of reading a pin takes nothing that the long one would read as something else, or refuse."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from protocol.author import Author
from protocol.codec import Body
from protocol.errors import Refused
from protocol.fields import Fields
from protocol.identity import KeyPair
from protocol.limits import CID_BYTES, COUNTER_MAX, NAME_BYTES, SIZE_BYTES_MAX, TIME_MS_MAX
from protocol.pin import Pin, _plain
from protocol.records import parse_record
from protocol.stamp import Stamp

ORDINARY = Pin(
    id=b"i" * 16, flow="default", root=b"r" * 36, original=b"o" * 36, name="2024/a.jpg", media_type="image/jpeg",
    width_px=3, height_px=2, phash="0123456789abcdef", size_bytes=7, added_at_ms=1, taken_at_ms=-1, stamp=Stamp(5, 6),
)  # fmt: skip
NUMBERS = (
    0,
    1,
    -1,
    2**31 - 1,
    2**31,
    TIME_MS_MAX,
    TIME_MS_MAX + 1,
    2**62,
    2**62 + 1,
    -(2**62) - 1,
    SIZE_BYTES_MAX,
    2**64,
)
TEXTS = (
    "", "a", "é", "é" * 100, "a\nb", "a\x85b", "../a", "a//b", "/a", "a\0", "dag", "0123456789ABCDEF", "0123456789abcdeff",
    "AAAAAAAAAAAAAAAAAAAAAA==", "a" * 16, "a" * 17, "a" * 127, "a" * 128, "a" * 129, "é" * NAME_BYTES, "a" * (NAME_BYTES + 1),
)  # fmt: skip
BYTES = (b"", b"a" * 15, b"a" * 16, b"a" * CID_BYTES[0], b"a" * (CID_BYTES[0] - 1), b"a" * CID_BYTES[1], b"a" * 129)
LISTS: tuple[list[Any], ...] = (
    [], [1], [1, 2], [1, 2, 3], [1.0, 2], [True, 2], [-1, 0], [0, -1], [TIME_MS_MAX + 1, 0], [0, COUNTER_MAX + 1], ["a"],
)  # fmt: skip
NAMES = (*ORDINARY.to_body(), "replicas", "origin", "deleted", "expires_ms", "sources", "newer")
VALUES = (None, True, False, 1.0, {}, {"ms": 1, "counter": 2}, *NUMBERS, *TEXTS, *BYTES, *LISTS)


def read_long(body: Body) -> Pin | None:
    try:
        return Pin._read(Fields(body, Pin.KIND))
    except Refused:
        return None


@given(changes=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=2))
@example(changes={})
def test_the_short_way_reads_what_the_long_one_does(changes: dict[str, Any]) -> None:
    body = {**ORDINARY.to_body(), **changes}
    short = _plain(body)
    assert short is None or short == read_long(body)


def test_each_field_by_itself() -> None:
    for name in NAMES:
        without = {field: value for field, value in ORDINARY.to_body().items() if field != name}
        for body in (without, *({**without, name: value} for value in VALUES)):
            short = _plain(body)
            assert short is None or short == read_long(body), (name, body.get(name))


def test_an_ordinary_pin_takes_the_short_way() -> None:
    assert _plain(ORDINARY.to_body()) == ORDINARY


def test_a_signed_pin_is_the_one_that_is_read_from_its_bytes() -> None:
    signed = Author(KeyPair(b"k" * 32)).write(Pin(id=bytes(16), flow="f", root=b"root"), 1)
    read, later = parse_record(signed.raw), Author(KeyPair(b"k" * 32)).write(signed.record, 2)
    assert signed == read
    assert not signed != read  # noqa: SIM202
    assert signed != later
    assert len({signed, read, later}) == 2
