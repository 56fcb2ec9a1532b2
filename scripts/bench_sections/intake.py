"""Images per second in, against Pillow alone making the same variants: 4K photos, and formats that cost more."""

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pillow_heif
from PIL import Image

from node.demo.peers import Peer, swarm
from scripts.bench_sections.figures import Figure
from scripts.pillow_alone import pillow_alone
from tests.photos import crops

PHOTOS = 100
BAR = 0.8
OTHERS = 16
GIF_FRAMES = 24
GIF_PX = (480, 270)


def intake() -> list[Figure]:
    """One peer; each kind goes in by one `add`, every image fsynced before it is acknowledged."""
    photos = crops(PHOTOS)
    with tempfile.TemporaryDirectory(prefix="bench-") as home, swarm(Path(home), ("solo",)) as [peer]:
        made = Path(home) / "made"
        made.mkdir()
        return [
            _figure(peer, "4K photos in, with variants", photos, BAR),
            _figure(peer, f"GIFs of {GIF_FRAMES} frames in, with previews", _written(photos, made, "gif", _gif), None),
            _figure(peer, "4K AVIFs in, with variants", _written(photos, made, "avif", _avif), None),
            _figure(peer, "4K HEICs in, with variants", _written(photos, made, "heic", _heic), None),
        ]


def _figure(peer: Peer, what: str, images: list[Path], bar: float | None) -> Figure:
    peer.call("add", *map(str, images[:4]))  # the decoder's workers start once, not per image
    alone = pillow_alone(images[4:])
    start_s = time.monotonic()
    peer.call("add", *map(str, images[4:]), timeout_s=600)
    ours = (len(images) - 4) / (time.monotonic() - start_s)
    return Figure("intake", what, ours, "images/s", alone, "Pillow alone", ours / alone, bar)


def _written(photos: list[Path], home: Path, suffix: str, encode: Callable[[Image.Image], bytes]) -> list[Path]:
    """The first photos in another format."""
    paths = []
    for photo in photos[:OTHERS]:
        with Image.open(photo) as image:
            path = home / f"{photo.stem}.{suffix}"
            path.write_bytes(encode(image.convert("RGB")))
            paths.append(path)
    return paths


def _gif(image: Image.Image) -> bytes:
    """The picture slowly moving to the left."""
    wide = image.resize((GIF_PX[0] * 2, GIF_PX[1]))
    frames = [wide.crop((8 * n, 0, 8 * n + GIF_PX[0], GIF_PX[1])).quantize(128) for n in range(GIF_FRAMES)]
    written = io.BytesIO()
    frames[0].save(written, "GIF", save_all=True, append_images=frames[1:], duration=50)
    return written.getvalue()


def _avif(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "AVIF", speed=9)
    return written.getvalue()


def _heic(image: Image.Image) -> bytes:
    written = io.BytesIO()
    pillow_heif.from_pillow(image).save(written, quality=60, enc_params={"preset": "ultrafast"})
    return written.getvalue()
