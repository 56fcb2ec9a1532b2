"""Videos: the first ten frames, a preview that moves, a poster that shows something; all bounded before it is decoded."""

import os
import struct
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from store.errors import ImageRejected
from store.images.build import build_image
from store.images.limits import ImageLimits
from tests.pictures import FILMS, built, film, psnr_db, scene, shown


def moving(count: int) -> list[Image.Image]:
    return [
        scene().transform((320, 200), Image.Transform.AFFINE, (1, 0, 3 * n, 0, 1, 0), fillcolor="white")
        for n in range(count)
    ]


@pytest.mark.parametrize("container", FILMS)
def test_frames_preview_and_facts(tmp_path: Path, container: str) -> None:
    pictures = moving(25)
    image = built(tmp_path, film(pictures, container))
    facts = image.facts
    assert (facts.media_type, facts.width_px, facts.height_px, facts.frames) == (FILMS[container][1], 320, 200, 25)
    names = [f"frame-{number:02}.webp" for number in range(10)]
    assert [name for name in image.files if name.startswith("frame-")] == names
    for name, picture in zip(names, pictures, strict=False):
        assert psnr_db(shown(image, name), picture) > 22
    preview = shown(image, "preview.webp")
    assert getattr(preview, "n_frames", 1) == 13, "one every 0.2 s of 2.5 s"
    assert psnr_db(shown(image), pictures[0]) > 22
    assert shown(image, "small.webp").size == (200, 125)


def test_a_poster_shows_something_where_the_film_begins_black(tmp_path: Path) -> None:
    image = built(tmp_path, film([Image.new("RGB", (320, 200))] * 12 + [scene()] * 28))
    assert psnr_db(shown(image), scene()) > 22
    assert np.asarray(shown(image, "frame-00.webp")).max() < 20
    assert np.asarray(shown(built(tmp_path, film([Image.new("RGB", (320, 200))] * 12)))).max() < 20


def test_a_film_taken_upright_comes_out_upright(tmp_path: Path) -> None:
    content = bytearray(film([scene().transpose(Image.Transpose.ROTATE_90)] * 3))
    at = content.index(b"tkhd") + 4 + 40
    one, zero = 1 << 16, 0
    content[at : at + 36] = struct.pack(">9i", zero, one, zero, -one, zero, zero, zero, zero, 1 << 30)
    image = built(tmp_path, bytes(content))
    assert (image.facts.width_px, image.facts.height_px) == (320, 200)
    assert psnr_db(shown(image), scene()) > 22


def reason(folder: Path, content: bytes, **limits: int) -> str:
    with pytest.raises(ImageRejected) as rejected:
        built(folder, content, **limits)
    return rejected.value.reason


def test_what_is_too_long_or_too_large_is_refused(tmp_path: Path) -> None:
    content = film(moving(25))
    assert reason(tmp_path, content, video_s=1).startswith("too long: ")
    assert reason(tmp_path, content, canvas_px=100) == "too many pixels: 320 × 200, at most 100"


def test_only_the_beginning_is_decoded(tmp_path: Path) -> None:
    image = built(tmp_path, film(moving(40)), animation_px=2 * 5 * 320 * 200)
    assert len([name for name in image.files if name.startswith("frame-")]) == 6


@pytest.mark.parametrize("part", [0.02, 0.3, 0.7])
def test_a_cut_film_is_refused_with_a_reason(tmp_path: Path, part: float) -> None:
    content = film(moving(25))
    assert reason(tmp_path, content[: int(len(content) * part)])


def test_a_playlist_is_no_video_and_a_film_opens_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reason(tmp_path, b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n").startswith("not an image")
    content = film(moving(2))
    opened = []

    def spy(*_: object, **__: object) -> object:
        with pytest.raises(OSError, match="open files"):
            os.open(tmp_path, os.O_RDONLY)
        opened.append(True)
        raise ValueError("seen enough")

    monkeypatch.setattr(av, "open", spy)
    assert reason(tmp_path, content).startswith("damaged image: seen enough")
    assert opened


def test_without_the_extra_videos_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = film(moving(2))
    monkeypatch.setitem(sys.modules, "av", None)
    assert reason(tmp_path, content).startswith("MP4 needs the extra 'video'")


def test_every_process_makes_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film(moving(12)))
    assert build_image(path, ImageLimits()) == build_image(path, ImageLimits())
