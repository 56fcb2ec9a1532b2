"""Animations: their frames are counted, the first ten shown, and the preview moves at the original's speed."""

from pathlib import Path

import pytest
from PIL import Image, ImageSequence

from tests.pictures import built, psnr_db, saved, scene, shown

COLOURS = ("red", "lime", "blue", "yellow", "cyan", "magenta", "white", "black", "gray", "orange", "navy", "teal")
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")


def moving(kind: str, frames: int, size_px: tuple[int, int] = (120, 80), duration_ms: int = 50) -> bytes:
    pictures = [Image.new("RGB", size_px, COLOURS[number % len(COLOURS)]) for number in range(frames)]
    durations = [duration_ms * (1 + number % 3) for number in range(frames)]
    return saved(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=durations)


@pytest.mark.parametrize("kind", ANIMATED)
def test_frames_and_preview(tmp_path: Path, kind: str) -> None:
    image = built(tmp_path, moving(kind, 12))
    assert image.facts.frames == 12
    names = [name for name in image.files if name.startswith("frame-")]
    assert names == [f"frame-{number:02}.webp" for number in range(10)]
    for number, name in enumerate(names):
        assert psnr_db(shown(image, name), Image.new("RGB", (120, 80), COLOURS[number])) > 25
    preview = shown(image, "preview.webp")
    durations = []
    for frame in ImageSequence.Iterator(preview):
        frame.load()
        durations.append(frame.info["duration"])
    assert durations == [50 * (1 + number % 3) for number in range(12)]


@pytest.mark.parametrize("kind", ANIMATED)
def test_two_frames_are_an_animation_and_one_is_none(tmp_path: Path, kind: str) -> None:
    assert {"frame-00.webp", "frame-01.webp", "preview.webp"} < set(built(tmp_path, moving(kind, 2)).files)
    still = built(tmp_path, saved(scene(), kind))
    assert still.facts.frames == 1
    assert "preview.webp" not in still.files


def test_frames_are_composed(tmp_path: Path) -> None:
    """The second frame changes a corner only; what the first drew stays."""
    second = scene().copy()
    second.paste("white", (0, 0, 20, 20))
    image = built(tmp_path, saved(scene(), "GIF", save_all=True, append_images=[second], duration=100, disposal=1))
    assert psnr_db(shown(image, "frame-01.webp"), second) > 25


def test_a_long_and_large_animation_has_a_bounded_preview(tmp_path: Path) -> None:
    image = built(tmp_path, moving("GIF", 70, (900, 500)))
    assert image.facts.frames == 70
    preview = shown(image, "preview.webp")
    assert getattr(preview, "n_frames", 1) == 60
    assert preview.size == (400, 222)
    assert shown(image, "frame-03.webp").size == (800, 444)


def test_an_apng_whose_default_image_is_not_shown(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("lime", "blue")]
    default = Image.new("RGB", (40, 40), "red")
    content = saved(default, "PNG", save_all=True, default_image=True, append_images=frames)
    image = built(tmp_path, content)
    assert image.facts.frames == 2
    assert psnr_db(shown(image), default) > 25
    assert psnr_db(shown(image, "frame-00.webp"), frames[0]) > 25


def test_a_frame_beyond_the_canvas_is_cut(tmp_path: Path) -> None:
    content = bytearray(moving("GIF", 2, (40, 40)))
    second = content.rindex(b"\x2c\0\0\0\0")
    content[second + 1] = 30
    image = built(tmp_path, bytes(content))
    assert shown(image, "frame-01.webp").size == shown(image, "frame-00.webp").size


def test_a_gif_without_a_trailer_is_taken(tmp_path: Path) -> None:
    assert built(tmp_path, moving("GIF", 3)[:-1]).facts.frames == 3


def test_pages_of_a_tiff_are_no_animation(tmp_path: Path) -> None:
    content = saved(scene(), "TIFF", save_all=True, append_images=[scene().rotate(180)])
    image = built(tmp_path, content)
    assert image.facts.frames == 1
    assert psnr_db(shown(image), scene()) > 25


def test_transparency_of_animations_is_kept(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (60, 60), (255, 0, 0, 0)) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.paste((0, 0, 255, 255), (number * 10, 0, number * 10 + 20, 60))
    image = built(tmp_path, saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))
    preview = shown(image, "preview.webp")
    assert preview.mode == "RGBA"
    assert preview.getpixel((40, 30))[3] == 0  # type: ignore[index]
    assert shown(image, "frame-02.webp").getpixel((2, 30))[3] == 0  # type: ignore[index]
