"""The image directory: its names, and that it reads back as what was put in."""

from pathlib import Path

import pytest

from store.errors import ImageRejected
from store.images.directory import image_directory, original_name
from store.unixfs import import_file, list_directory, read_file
from tests.pictures import PHOTOS, built, saved, scene


def test_the_original_is_named_by_its_content() -> None:
    assert original_name("image/jpeg") == "original.jpg"
    assert original_name("image/svg+xml") == "original.svg"
    with pytest.raises(ImageRejected):
        original_name("text/html")


def test_a_directory_reads_back(tmp_path: Path) -> None:
    content = PHOTOS[0].read_bytes()
    image = built(tmp_path, content)
    original = import_file([content])
    blocks = {block.cid: block.data for block in original}
    made = image_directory(original.root, original.tsize_bytes, image)
    blocks.update(made)
    wanted = image.files | {"original.jpg": content}
    entries = list(list_directory(made[-1].cid, blocks.__getitem__))
    assert {e.name: b"".join(read_file(e.cid, blocks.__getitem__)) for e in entries} == wanted
    assert {e.name: e.tsize_bytes for e in entries} == {name: len(bytes_) for name, bytes_ in wanted.items()}


def test_equal_variants_are_one_block(tmp_path: Path) -> None:
    image = built(tmp_path, saved(scene(50, 40), "PNG"))
    made = image_directory(b"\x01\x55\x00\x01a", 1, image)
    assert len(made) == 3
    assert made == image_directory(b"\x01\x55\x00\x01a", 1, image)
