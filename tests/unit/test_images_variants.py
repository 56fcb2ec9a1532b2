"""The pictures people are shown: their sizes, that they look right, and that nothing but pixels is in them."""

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from store.images.variants import METHOD, QUALITY, VARIANTS_PX, fit
from tests.pictures import PHOTOS, built, psnr_db, saved, scene, shown

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("original_px", "sizes"),
    [
        ((3000, 2000), [(1600, 1067), (800, 533), (400, 267), (200, 133)]),
        ((1000, 2000), [(800, 1600), (400, 800), (200, 400), (100, 200)]),
        ((500, 100), [(500, 100), (500, 100), (400, 80), (200, 40)]),
        ((1, 1), [(1, 1)] * 4),
        ((4000, 1), [(1600, 1), (800, 1), (400, 1), (200, 1)]),
    ],
)
def test_all_four_are_there_and_none_is_enlarged(
    tmp_path: Path, original_px: tuple[int, int], sizes: list[tuple[int, int]]
) -> None:
    image = built(tmp_path, saved(Image.new("RGB", original_px, "teal"), "PNG"))
    # One pixel more or less by rounding twice is nothing that anyone sees.
    for name, size in zip(VARIANTS_PX, sizes, strict=True):
        found = shown(image, name).size
        assert max(found) == max(size)
        assert abs(min(found) - min(size)) <= 1
    assert (image.facts.width_px, image.facts.height_px) == original_px
    assert sorted(image.files) == sorted([*VARIANTS_PX, "image.json"])


def test_fit_never_enlarges_and_leaves_no_side_without_pixels() -> None:
    assert fit((100, 50), 200) == (100, 50)
    assert fit((10_000, 3), 200) == (200, 1)
    assert fit((3, 10_000), 200) == (1, 200)


@pytest.mark.parametrize("photo", PHOTOS[:3], ids=lambda p: p.stem)
@pytest.mark.parametrize(("times", "loss_db"), [(1, 0.5), (3, 2.5)])
def test_variants_are_as_good_as_plain_lanczos_from_the_full_size(
    tmp_path: Path, photo: Path, times: int, loss_db: float
) -> None:
    """Three by three of a photo is decoded at half its size; sharp to the pixel, it is the worst case of that."""
    with Image.open(photo) as one:
        original = Image.new("RGB", (one.width * times, one.height * times))
        for x in range(times):
            for y in range(times):
                original.paste(one, (x * one.width, y * one.height))
    content = saved(original, "JPEG", quality=90)
    image = built(tmp_path, content)
    full = Image.open(io.BytesIO(content)).convert("RGB")
    for name in VARIANTS_PX:
        variant = shown(image, name)
        plain = full.resize(variant.size, Image.Resampling.LANCZOS)
        same_encoding = Image.open(io.BytesIO(saved(plain, "WEBP", quality=QUALITY, method=METHOD)))
        assert psnr_db(variant, plain) > psnr_db(same_encoding, plain) - loss_db


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    upright = scene(60, 40)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    lying = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = built(tmp_path, saved(lying, kind, exif=exif))
    assert (image.facts.width_px, image.facts.height_px) == (60, 40)
    assert shown(image).size == (60, 40)
    assert psnr_db(shown(image), upright) > 25


def test_large_upright_photos_keep_their_shape(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = built(tmp_path, saved(scene(4000, 3000), "JPEG", exif=exif))
    assert (image.facts.width_px, image.facts.height_px) == (3000, 4000)
    assert shown(image).size == (1200, 1600)


def test_nothing_but_pixels_is_in_the_variants(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[29] = "secret"
    options = {"exif": exif, "comment": b"secret", "xmp": b"<x:xmpmeta>secret</x:xmpmeta>"}
    content = saved(scene(), "JPEG", **options)
    assert content.count(b"secret") >= 3
    image = built(tmp_path, content)
    for name in VARIANTS_PX:
        assert b"secret" not in image.files[name]
        assert not set(shown(image, name).info) & {"exif", "xmp", "icc_profile", "comment"}
        assert not any(mark in image.files[name] for mark in (b"EXIF", b"XMP ", b"ICCP"))


def test_a_damaged_exif_does_not_cost_the_picture(tmp_path: Path) -> None:
    image = built(tmp_path, saved(scene(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken"))
    assert psnr_db(shown(image), scene()) > 25


def test_image_json_is_canonical(tmp_path: Path) -> None:
    image = built(tmp_path, saved(scene(), "PNG"))
    written = image.files["image.json"]
    fields = json.loads(written)
    assert written == json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert set(fields) == {
        "blake3", "frames", "height_px", "media_type", "phash", "recipe", "size_bytes", "thumbhash", "width_px"
    }  # fmt: skip


def test_original_only_makes_facts_alone(tmp_path: Path) -> None:
    content = PHOTOS[0].read_bytes()
    full, alone = built(tmp_path, content), built(tmp_path, content, variants=False)
    assert list(alone.files) == ["image.json"]
    assert alone.facts.recipe == 0
    assert alone.facts.blake3 == full.facts.blake3
    assert (int(alone.facts.phash, 16) ^ int(full.facts.phash, 16)).bit_count() <= 4


ANOTHER_PROCESS = """
import hashlib, sys
from pathlib import Path
from store.images.build import build_image
from store.images.limits import ImageLimits
for path in sys.argv[1:]:
    for name, content in build_image(Path(path), ImageLimits()).files.items():
        print(name, hashlib.sha256(content).hexdigest())
"""


def test_every_process_makes_the_same_bytes(tmp_path: Path) -> None:
    moving = tmp_path / "moving.gif"
    frames = [scene(300, 200).rotate(turn) for turn in range(0, 60, 5)]
    moving.write_bytes(saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40))
    paths = [*PHOTOS[:2], moving]
    here = [
        f"{name} {hashlib.sha256(content).hexdigest()}"
        for path in paths
        for name, content in built(tmp_path, path.read_bytes()).files.items()
    ]
    command = [sys.executable, "-c", ANOTHER_PROCESS, *map(str, paths)]
    for seed in ("1", "2"):
        done = subprocess.run(
            command, cwd=ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert done.stdout.split("\n")[:-1] == here
