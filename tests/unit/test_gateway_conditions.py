"""Ranges and ETags: what a request may ask, and what it gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.gateway.conditions import Span, UnsatisfiableRange, asked_span, etag_matches, parse_range


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-9", Span(0, 10)),
        ("bytes=90-", Span(90, 100)),
        ("bytes=90-900", Span(90, 100)),
        ("bytes=-5", Span(95, 100)),
        ("bytes=-500", Span(0, 100)),
        ("bytes=9-3", None),
        ("bytes=0-1,4-5", None),
        ("bytes=-", None),
        ("items=0-1", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("bytes=٣-٤", None),
    ],
)
def test_a_single_range_is_understood_and_others_ignored(header: str | None, span: Span | None) -> None:
    assert parse_range(header, 100) == span


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_outside_the_file_is_unsatisfiable(header: str) -> None:
    with pytest.raises(UnsatisfiableRange):
        parse_range(header, 100)


@given(st.text(max_size=40), st.integers(0, 1000))
def test_any_header_gives_a_span_within_the_file_or_none(header: str, size_bytes: int) -> None:
    try:
        span = parse_range(header, size_bytes)
    except UnsatisfiableRange:
        return
    assert span is None or 0 <= span.start < span.end <= size_bytes


@pytest.mark.parametrize("header", ['"abc"', 'W/"abc"', '"x", "abc"', "*", '"x",W/"abc"'])
def test_a_client_that_has_it_is_told_so(header: str) -> None:
    assert etag_matches(header, '"abc"')


@pytest.mark.parametrize("header", [None, "", '"abcd"', "abc", '"ab'])
def test_a_client_that_has_something_else_is_sent_it(header: str | None) -> None:
    assert not etag_matches(header, '"abc"')


def test_a_range_of_an_empty_file_is_the_file() -> None:
    assert parse_range("bytes=0-", 0) is None


@pytest.mark.parametrize(
    ("if_range", "span"), [(None, Span(0, 2)), ('"a"', Span(0, 2)), ('"b"', None), ('W/"a"', None), ("Mon", None)]
)
def test_a_part_of_another_version_is_no_part(if_range: str | None, span: Span | None) -> None:
    assert asked_span("bytes=0-1", if_range, '"a"', 10) == span
