"""Operations on a picture: each does to the pixels what it says, in order, at full size, without a second encoding."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from store.errors import ImageRejected
from store.images.edit import compose_frames, edit_image
from store.images.limits import ImageLimits
from store.images.made import Edited
from store.images.operations import BadOperation, Crop, Resize, parse_operation
from tests.pictures import film, profile_of_another_space, psnr_db, saved, scene


def edited(folder: Path, content: bytes, *operations: str, frame: int = 0, **limits: int) -> Edited:
    path = folder / "original"
    path.write_bytes(content)
    return edit_image(path, ImageLimits(**limits), operations, frame)  # type: ignore[arg-type]


def picture(made: Edited) -> Image.Image:
    assert made.problem is None
    image = Image.open(io.BytesIO(made.content))
    assert image.size == (made.width_px, made.height_px)
    return image


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.mode == other.mode and np.array_equal(np.asarray(one), np.asarray(other))


PNG = saved(scene(), "PNG")


@pytest.mark.parametrize(
    ("operations", "wanted"),
    [
        (("crop 10,20,100,50",), scene().crop((10, 20, 110, 70))),
        (("rotate 90",), scene().transpose(Image.Transpose.ROTATE_270)),
        (("rotate -90",), scene().transpose(Image.Transpose.ROTATE_90)),
        (("rotate 180",), scene().transpose(Image.Transpose.ROTATE_180)),
        (("rotate 360",), scene()),
        (("flip h",), scene().transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        (("flip v",), scene().transpose(Image.Transpose.FLIP_TOP_BOTTOM)),
        (("resize 64x64",), scene().resize((64, 64), Image.Resampling.LANCZOS)),
        (("rotate 90", "crop 0,0,10,30"), scene().transpose(Image.Transpose.ROTATE_270).crop((0, 0, 10, 30))),
        (("crop 0,0,10,30", "rotate 90"), scene().crop((0, 0, 10, 30)).transpose(Image.Transpose.ROTATE_270)),
    ],
)
def test_pixels_are_those_that_were_meant(tmp_path: Path, operations: tuple[str, ...], wanted: Image.Image) -> None:
    assert same(picture(edited(tmp_path, PNG, *operations)), wanted)


def test_odd_angles_grow_the_canvas_and_leave_white_corners(tmp_path: Path) -> None:
    turned = picture(edited(tmp_path, PNG, "rotate 45"))
    assert turned.width > 320
    assert turned.height > 200
    assert turned.getpixel((0, 0)) == (255, 255, 255)
    clear = picture(edited(tmp_path, saved(scene().convert("RGBA"), "PNG"), "rotate 45"))
    assert clear.getpixel((0, 0)) == (0, 0, 0, 0)


def test_a_lying_photo_is_edited_as_people_see_it_and_keeps_its_colours(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "secret"
    lying = scene().transpose(Image.Transpose.ROTATE_90)
    content = saved(lying, "JPEG", quality=95, exif=exif, icc_profile=profile_of_another_space().tobytes())
    made = edited(tmp_path, content, "crop 0,0,100,50")
    image = picture(made)
    assert made.media_type == "image/jpeg"
    assert image.info["icc_profile"] == Image.open(io.BytesIO(content)).info["icc_profile"]
    assert b"secret" not in made.content
    assert psnr_db(image, scene().crop((0, 0, 100, 50))) > 30


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "TIFF", "GIF", "PNG"])
def test_other_formats_become_pngs(tmp_path: Path, kind: str) -> None:
    made = edited(tmp_path, saved(scene(), kind), "flip h")
    assert made.media_type == "image/png"
    assert psnr_db(picture(made).convert("RGB"), scene().transpose(Image.Transpose.FLIP_LEFT_RIGHT)) > 25


def test_cmyk_stays_cmyk_in_a_jpeg_and_is_converted_for_a_png(tmp_path: Path) -> None:
    red = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    assert picture(edited(tmp_path, saved(red, "JPEG"), "crop 0,0,9,9")).mode == "CMYK"
    png = picture(edited(tmp_path, saved(red, "TIFF"), "crop 0,0,9,9"))
    assert png.mode == "RGB"
    assert png.getpixel((4, 4))[0] > 200  # type: ignore[index]


def test_a_frame_of_an_animation_is_edited_and_all_can_be_had(tmp_path: Path) -> None:
    frames = [scene().rotate(15 * number) for number in range(13)]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)
    made = edited(tmp_path, content, "flip h", frame=12)
    assert made.frames == 13
    assert psnr_db(picture(made).convert("RGB"), frames[12].transpose(Image.Transpose.FLIP_LEFT_RIGHT)) > 25
    assert edited(tmp_path, content, frame=13).problem == "frame 13: there are 13, counted from 0"
    batch = compose_frames(tmp_path / "original", ImageLimits(), 10)
    assert (len(batch.frames), batch.more) == (3, False)
    assert psnr_db(Image.open(io.BytesIO(batch.frames[2])).convert("RGB"), frames[12]) > 25


def test_frames_come_in_batches_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.images.edit.BATCH_BYTES", 1000)
    frames = [scene().rotate(15 * number) for number in range(4)]
    (tmp_path / "original").write_bytes(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    batches = [compose_frames(tmp_path / "original", ImageLimits(), start) for start in range(4)]
    assert [(len(batch.frames), batch.more) for batch in batches] == [(1, True)] * 3 + [(1, False)]


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ("crop 300,0,50,50", "crop 300,0,50,50: leaves the picture of 320 × 200"),
        ("crop 0,0,0,5", "crop 0,0,0,5: leaves no pixels"),
        ("resize 0x5", "resize 0x5: leaves no pixels"),
        ("resize 99999x99999", "resize 99999x99999: makes 99999 × 99999 pixels, at most 89478485"),
        ("paint red", "'paint red': expected crop X,Y,W,H, rotate DEG, flip h, flip v or resize WxH"),
        ("rotate nan", "'rotate nan': expected crop X,Y,W,H, rotate DEG, flip h, flip v or resize WxH"),
    ],
)
def test_a_mistake_is_a_problem_that_names_it(tmp_path: Path, operation: str, said: str) -> None:
    assert edited(tmp_path, PNG, operation).problem == said


def test_a_video_is_not_edited(tmp_path: Path) -> None:
    with pytest.raises(ImageRejected, match="is a video"):
        edited(tmp_path, film([scene()] * 2), "flip h")


@given(st.text(max_size=40))
def test_any_text_is_an_operation_or_a_problem(text: str) -> None:
    try:
        operation = parse_operation(text)
    except BadOperation:
        return
    assert not isinstance(operation, Crop | Resize) or operation.width_px > 0
