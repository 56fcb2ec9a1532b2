"""The first frames of a video and its poster, by FFmpeg through PyAV: the extra `video`.

The container is told by its bytes and forced on FFmpeg, which would else try playlists that name other files; while it
reads, no file can be opened. Only the beginning is decoded: as many pixels as half of an animation's budget.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from store.errors import ImageRejected
from store.images.animation import PREVIEW_FRAMES, PREVIEW_PX, STILL_FRAMES, STILL_PX, encode_animation
from store.images.extras import no_files, required
from store.images.limits import ImageLimits
from store.images.sniff import Format
from store.images.variants import encode, fit

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PREVIEW_EVERY_MS = 200
"""Sixty frames of the preview are the first twelve seconds; a guess."""
POSTER_AT = (0.0, 0.1, 0.25, 0.5)
"""Parts of the duration at which the poster is looked for."""
FLAT_DEVIATION = 10.0
"""Levels of 255: a frame that deviates less from its average shows nothing; films begin black. A guess."""
_DEMUXERS = {"mp4": "mov", "mov": "mov", "webm": "matroska", "mkv": "matroska"}
_TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """What is shown of a video. `frames`: as its container says, or as duration and rate suggest."""

    poster: Image.Image
    frames: int
    files: dict[str, bytes]


def read_video(content: bytes, kind: Format, limits: ImageLimits, *, previews: bool) -> Clip:
    """Decode the beginning of a video, and a frame that shows something.

    Args:
        previews: make `frame-NN.webp` and `preview.webp` too.

    Raises:
        ImageRejected: no extra `video`, no picture in it, or beyond the limits; besides what `rejecting` is for.
    """
    av = required("av", kind)
    # What either imports only when it first needs it: then no file can be opened.
    Image.preinit()
    for name in ("stream", "codeccontext", "subtitle"):
        import_module(f"av.subtitles.{name}")
    with (
        no_files(),
        av.open(BytesIO(content), format=_DEMUXERS[kind.extension], options={"protocol_whitelist": ""}) as opened,
    ):
        if not opened.streams.video:
            raise ImageRejected(f"a {kind.name} without a picture")
        stream = opened.streams.video[0]
        stream.thread_type, stream.thread_count = "NONE", 1  # the pool runs one worker a core
        _check(opened, stream, limits)
        files = _previews(opened, stream, limits) if previews else {}
        poster = _poster(opened, stream, limits)
        return Clip(poster=poster, frames=_frame_count(opened, stream), files=files)


def _check(opened: "InputContainer", stream: "VideoStream", limits: ImageLimits) -> None:
    duration_s = _duration_s(opened)
    if duration_s > limits.video_s:
        raise ImageRejected(f"too long: {duration_s:.0f} s, at most {limits.video_s}")
    _check_size(stream.width, stream.height, limits)


def _check_size(width_px: int, height_px: int, limits: ImageLimits) -> None:
    if width_px < 1 or height_px < 1:
        raise ImageRejected(f"no pixels: {width_px} × {height_px}")
    if width_px * height_px > limits.canvas_px:
        raise ImageRejected(f"too many pixels: {width_px} × {height_px}, at most {limits.canvas_px}")


def _duration_s(opened: "InputContainer") -> float:
    return (opened.duration or 0) / 1_000_000


def _frame_count(opened: "InputContainer", stream: "VideoStream") -> int:
    guessed = _duration_s(opened) * float(stream.average_rate or Fraction(0))
    return max(1, stream.frames or round(guessed))


def _decoded(opened: "InputContainer", stream: "VideoStream", limits: ImageLimits) -> Iterator["VideoFrame"]:
    """Frames from where the container stands, until half of an animation's budget is used."""
    left_px = limits.animation_px // 2
    for frame in opened.decode(stream):
        _check_size(frame.width, frame.height, limits)
        yield frame
        left_px -= frame.width * frame.height
        if left_px < 0:
            return


def _previews(opened: "InputContainer", stream: "VideoStream", limits: ImageLimits) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    small: list[Image.Image] = []
    begin_ms: int | None = None
    for number, frame in enumerate(_decoded(opened, stream, limits)):
        at_ms = round(1000 * float(frame.time or 0))
        begin_ms = at_ms if begin_ms is None else begin_ms
        if number < STILL_FRAMES:
            files[f"frame-{number:02}.webp"] = encode(_upright(frame, STILL_PX))
        if at_ms - begin_ms >= len(small) * PREVIEW_EVERY_MS:
            small.append(_upright(frame, PREVIEW_PX))
        if len(small) == PREVIEW_FRAMES:
            break
    if not small:
        raise ImageRejected("a video of which no frame can be decoded")
    same = [each if each.size == small[0].size else each.resize(small[0].size) for each in small]
    files["preview.webp"] = encode_animation(same, [PREVIEW_EVERY_MS] * len(same))
    return files


def _poster(opened: "InputContainer", stream: "VideoStream", limits: ImageLimits) -> Image.Image:
    """The first frame that shows something, of a few; else the very first."""
    first: Image.Image | None = None
    for part in POSTER_AT:
        opened.seek(int(part * (opened.duration or 0)) + (opened.start_time or 0))
        frame = next(_decoded(opened, stream, limits), None)
        if frame is None:
            continue
        picture = _upright(frame, max(frame.width, frame.height))
        first = first or picture
        grey = np.asarray(picture.convert("L").resize((32, 32)))
        if float(grey.std()) >= FLAT_DEVIATION:
            return picture
    if first is None:
        raise ImageRejected("a video of which no frame can be decoded")
    return first


def _upright(frame: "VideoFrame", longer_px: int) -> Image.Image:
    width_px, height_px = fit((frame.width, frame.height), longer_px)
    picture: Image.Image = frame.to_image(width=width_px, height=height_px)  # type: ignore[no-untyped-call]
    turn = _TURNS.get(int(frame.rotation) % 360)
    return picture if turn is None else picture.transpose(turn)
