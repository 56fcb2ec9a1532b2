"""Which file of a root a variant's name stands for, and what type it has."""

import pytest

from node.errors import NotFound, Usage
from node.operations.directory import file_of, media_type_of, no_such_file
from protocol.pin import Pin
from store.unixfs import DirEntry

NAMES = ("display.webp", "frame-00.webp", "image.json", "original.heic", "preview.webp", "small.webp")
ENTRIES = [DirEntry(name, b"cid", 1) for name in NAMES]
IMAGE = Pin(id=b"", flow="f", root=b"", content="image", media_type="image/heic", name="holiday.heic")
DAG = Pin(id=b"", flow="f", root=b"", content="dag", name="notes.txt")


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        ("original", "original.heic"),
        ("small", "small.webp"),
        ("frame-00", "frame-00.webp"),
        ("image.json", "image.json"),
        ("preview.webp", "preview.webp"),
    ],
)
def test_variants_and_whole_names_are_found(variant: str, name: str) -> None:
    found = file_of(ENTRIES, variant)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("variant", ["large", "frame-09", "image", "webp", "../original.heic", ""])
def test_what_is_not_there_is_not_found(variant: str) -> None:
    assert file_of(ENTRIES, variant) is None


def test_what_to_say_of_a_missing_file() -> None:
    assert "no variant large" in no_such_file(IMAGE, "x", "large").message
    assert isinstance(no_such_file(IMAGE, "x", "a.txt"), NotFound)
    assert isinstance(no_such_file(DAG, "x", "original"), Usage)


def test_types_come_from_the_pin_for_the_original_and_else_from_the_name() -> None:
    assert media_type_of(IMAGE, "original.heic") == "image/heic"
    assert media_type_of(IMAGE, "small.webp") == "image/webp"
    assert media_type_of(IMAGE, "image.json") == "application/json"
    assert media_type_of(DAG, "notes.txt") == "text/plain; charset=utf-8"
    assert media_type_of(DAG, "original") == "application/octet-stream"
