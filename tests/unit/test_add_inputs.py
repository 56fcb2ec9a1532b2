"""What `add` takes of the paths that it is given: what is ignored, and what a dry run says."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from node.cli.beforehand import foretold
from node.cli.ignoring import FILE_NAME, Ignoring
from node.cli.inputs import Input, inputs
from node.errors import Usage
from tests.pictures import saved, scene


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("a.png", "a.txt", "raw/b.png", "raw/keep/c.png", "trip/d.png", "trip/raw/e.png", ".hidden/f.png"):
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "album"


def found(album: Path, *patterns: str) -> list[str]:
    return [each.name for each in inputs([str(album)], recursive=True, ignoring=Ignoring.of(patterns))]


def test_everything_but_hidden_files_is_found(album: Path) -> None:
    every = ["album/a.png", "album/a.txt", "album/raw/b.png", "album/raw/keep/c.png", "album/trip/d.png"]
    assert found(album) == [*every, "album/trip/raw/e.png"]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["*.txt"], ["a.png", "raw/b.png", "raw/keep/c.png", "trip/d.png", "trip/raw/e.png"]),
        (["raw/"], ["a.png", "a.txt", "trip/d.png"]),
        (["/raw"], ["a.png", "a.txt", "trip/d.png", "trip/raw/e.png"]),
        (["*", "!/trip", "!d.png"], ["trip/d.png"]),
        (["trip/**/e.png", "*.txt"], ["a.png", "raw/b.png", "raw/keep/c.png", "trip/d.png"]),
    ],
)
def test_patterns_are_those_of_gitignore(album: Path, patterns: list[str], left: list[str]) -> None:
    assert found(album, *patterns) == [f"album/{name}" for name in left]


def test_a_file_of_patterns_holds_below_its_directory_and_the_deeper_one_decides(album: Path) -> None:
    (album / FILE_NAME).write_text("# pictures only\n*.txt\n/raw\ne.png\n")
    (album / "trip" / FILE_NAME).write_text("!e.png\n/d.png\n")
    assert found(album) == ["album/a.png", "album/trip/raw/e.png"]
    assert found(album, "!d.png", "e.png") == ["album/a.png", "album/trip/d.png"], "the command line decides first"


def test_patterns_that_mean_nothing_are_told(album: Path) -> None:
    with pytest.raises(Usage, match=r"--ignore: "):
        found(album, "!")
    (album / FILE_NAME).mkdir()
    with pytest.raises(Usage, match=rf"{FILE_NAME}: is a directory"):
        found(album)


@given(st.lists(st.sampled_from(["*.png", "!*.png", "/a", "!/a", "a/", "b", "!b", "**/c", "a/*", "!a/b"]), max_size=6))
def test_one_layer_says_what_pathspec_says(patterns: list[str]) -> None:
    spec = GitIgnoreSpec.from_lines(patterns)
    for path in ("a", "a/b", "b", "x.png", "a/x.png", "a/b/c"):
        assert Ignoring.of(patterns).ignores(path, is_folder=False) == spec.match_file(path)


def test_a_dry_run_says_what_would_be_added_and_why_not(tmp_path: Path) -> None:
    picture, text = tmp_path / "a.png", tmp_path / "b.png"
    picture.write_bytes(saved(scene(), "PNG"))
    text.write_text("words")
    would = foretold(Input(path=str(picture), name="a.png"))
    assert (would.exit_code, would.row["dry_run"], would.row["size_bytes"]) == (0, True, picture.stat().st_size)
    would_not = foretold(Input(path=str(text), name="b.png"))
    assert would_not.exit_code == 1
    assert "not an image" in would_not.row["error"]
    missing = foretold(Input(path=str(tmp_path / "c.png"), name="c.png"))
    assert (missing.exit_code, missing.row["error"]) == (3, "no such file or directory")
    assert foretold(Input(path="https://example.org/a.png", name="a.png")).exit_code == 0
