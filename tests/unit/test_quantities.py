"""Sizes, durations, factors and odd names: what is read, what is refused, and that escapes can be undone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Usage
from node.quantities import (
    duration_text,
    escape_path,
    parse_duration,
    parse_factor,
    parse_since,
    parse_size,
    size_text,
    unescape_path,
)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("0", 0), ("4096", 4096), ("512B", 512), ("1KiB", 1024), ("100GiB", 100 * 1024**3), ("1.5TB", 1_500_000_000_000)],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "GiB", "10G", "-1MB", "1e9", "ten MB", "1 GiB 2"])
def test_sizes_that_are_refused_are_named(text: str) -> None:
    with pytest.raises(Usage, match="size ") as refused:
        parse_size(text)
    assert repr(text) in refused.value.message


@pytest.mark.parametrize(
    ("text", "seconds"), [("60", 60), ("60s", 60), ("7d", 604_800), ("1h30m", 5400), ("250ms", 0.25), ("2w", 1_209_600)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "7y", "-1s", "1h30", "soon"])
def test_durations_that_are_refused(text: str) -> None:
    with pytest.raises(Usage, match="duration "):
        parse_duration(text)


def test_factors() -> None:
    assert parse_factor("2:3") == (2, 3)
    assert parse_factor("3") == (3, 3)


@pytest.mark.parametrize("text", ["", "0", "3:2", "0:1", "2:", ":3", "2:3:4", "1:9999", "two"])
def test_factors_that_are_refused(text: str) -> None:
    with pytest.raises(Usage, match="replicas "):
        parse_factor(text)


def test_since_takes_instants_and_durations() -> None:
    assert parse_since("1970-01-02T00:00:00Z", 0) == 86_400_000
    assert parse_since("1m", 100_000) == 40_000
    with pytest.raises(Usage, match="time '2026-99-01'"):
        parse_since("2026-99-01", 0)


@given(st.binary().filter(lambda name: b"\0" not in name))
def test_any_file_name_survives_as_text(name: bytes) -> None:
    text = escape_path(name)
    assert unescape_path(text) == name
    text.encode()


@given(st.text().filter(lambda text: "\\x" not in text and "\0" not in text))
def test_names_that_are_text_stay_as_they_are(text: str) -> None:
    assert escape_path(text.encode("utf-8", "ignore")) == text.encode("utf-8", "ignore").decode()


def test_escapes_are_what_the_documentation_says() -> None:
    assert escape_path(b"caf\xe9.jpg") == r"caf\xe9.jpg"
    assert escape_path(rb"a\xe9.jpg") == r"a\x5cxe9.jpg"
    with pytest.raises(Usage, match="NUL"):
        unescape_path(r"a\x00b")


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (10**9, "954 MiB"), (2**50, "1.0 PiB")]
)
def test_sizes_for_people(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (61, "1 min 1 s"), (11_520, "3 h 12 min"), (259_205, "3 d"), (3605, "1 h")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
