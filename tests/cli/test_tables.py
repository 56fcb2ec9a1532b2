"""Tables on a terminal: a long name must not push everything else out of sight; piped, nothing is left out."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.output import LEAST_CELLS, _narrowed, table

HEAD = ("NAME", "FLOW", "ROOT")
LONG = "a" * 100 + "b" * 100 + ".jpg"


def lines(capsys: pytest.CaptureFixture[str], rows: list[tuple[str, str, str]]) -> list[str]:
    table(HEAD, rows)
    return capsys.readouterr().out.splitlines()


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")


def test_a_long_name_is_cut_in_the_middle_to_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_terminal(monkeypatch, 80)
    head, row, short = lines(capsys, [(LONG, "f", "bafy"), ("c.jpg", "f", "bafz")])
    assert max(map(len, (head, row, short))) == 80
    name, rest = row.split("  ", 1)
    assert (name[:3], name[-6:], name.count("…")) == ("aaa", "bb.jpg", 1)
    assert rest.split() == ["f", "bafy"]
    assert short.split() == ["c.jpg", "f", "bafz"]


def test_what_fits_is_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch, 300)
    assert LONG in lines(capsys, [(LONG, "f", "bafy")])[1]


def test_what_is_no_name_is_whole_on_any_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_terminal(monkeypatch, 20)
    assert "b" * 60 in lines(capsys, [("c.jpg", "f", "b" * 60)])[1]


def test_what_is_piped_is_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert LONG in lines(capsys, [(LONG, "f", "bafy")])[1]


@given(st.lists(st.integers(0, 300), min_size=3, max_size=3), st.integers(1, 400))
def test_no_column_grows_and_names_alone_are_narrowed_and_only_as_far_as_is_needed(
    widths: list[int], room: int
) -> None:
    narrowed = _narrowed(HEAD, widths, room)
    assert all(0 <= after <= before for before, after in zip(widths, narrowed, strict=True))
    assert narrowed[2] == widths[2]
    assert all(after == before or after >= LEAST_CELLS for before, after in zip(widths, narrowed, strict=True))
    if narrowed != widths:
        assert sum(narrowed) + 4 >= room
    if max(narrowed[:2]) > LEAST_CELLS:
        assert sum(narrowed) + 4 <= room
