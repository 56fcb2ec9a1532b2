"""Where a restore puts what: never outside the directory, never two in one place, the latest under its own name."""

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.restore import Place, placed, safe_path

A, B = "bafybeia" + "a" * 51, "bafybeib" + "b" * 51


def row(name: str, root: str = A) -> dict[str, Any]:
    return {"name": name, "root": root}


def paths(*rows: dict[str, Any]) -> list[bytes]:
    return [place.path for place in placed(list(rows))]


def test_the_latest_of_a_name_keeps_it() -> None:
    assert paths(row("d/x.jpg", A), row("d/x.jpg", B)) == [b"d/x.jpg~" + A[:16].encode(), b"d/x.jpg"]


def test_one_image_under_one_name_twice_is_written_once() -> None:
    assert placed([row("x.jpg"), row("x.jpg")]) == [Place(b"x.jpg", A, "x.jpg")]


def test_a_file_and_a_folder_of_one_name_both_have_a_place() -> None:
    assert paths(row("x", A), row("x/y", B)) == [b"x~" + A[:16].encode(), b"x/y"]
    assert paths(row("x/y", A), row("x", B)) == [b"x~y~" + A[:16].encode(), b"x"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/b.jpg", b"a/b.jpg"),
        ("/etc/passwd", b"etc/passwd"),
        ("./a//b", b"a/b"),
        ("../x", None),
        ("a/../../x", None),
        ("..", None),
        ("", None),
        (".", None),
        ("/", None),
        ("a\0b", None),
        ("a\\x00b", None),
        ("\\x2e\\x2e/x", None),
        ("..\\x2fx", None),
        ("caf\\xe9.jpg", b"caf\xe9.jpg"),
        ("n" * 256, None),
        ("n" * 255, b"n" * 255),
    ],
)
def test_names_lead_nowhere_else(name: str, path: bytes | None) -> None:
    assert safe_path(name) == path


names = st.lists(st.sampled_from(["a", "b", "..", ".", "", "~", "x" * 255, "\\x2e"]), max_size=4).map("/".join)


@given(st.lists(st.tuples(names | st.text(max_size=6), st.sampled_from([A, B])), max_size=12))
def test_every_image_has_a_place_of_its_own_below_the_directory(given_rows: list[tuple[str, str]]) -> None:
    rows = [row(name, root) for name, root in given_rows]
    places = placed(rows)
    taken = [place.path for place in places]
    assert len(set(taken)) == len(taken)
    assert {place.root for place in places} == {root for _, root in given_rows}
    for path in taken:
        assert os.path.normpath(b"/dir/" + path) == b"/dir/" + path
        assert all(len(part) <= 255 for part in path.split(b"/"))
        assert not any(other.startswith(path + b"/") for other in taken)
