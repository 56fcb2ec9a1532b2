"""What a decoder made of a job's image, kept until the image is stored: a crash in between costs no second decoding."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import trio

from node.jobs.handler import Run
from node.jobs.workplace import fsync_folder
from store.images.facts import BuiltImage

FILE_NAME = "built"
Build = Callable[[], Awaitable[BuiltImage]]


async def kept_build(run: Run, build: Build, blake3: str) -> BuiltImage:
    """What an earlier run has built of the same bytes, else what `build` makes: the steps `checked` and `variants`.

    Args:
        blake3: of the original, hexadecimal.
    """
    path = await run.make_folder() / FILE_NAME
    if run.result_of("variants") == blake3:
        found = await trio.to_thread.run_sync(_read, path)
        if found is not None and found.facts.blake3 == blake3:
            return found
    built = await build()
    await trio.to_thread.run_sync(_write, path, msgspec.msgpack.encode(built))
    await run.steps({"checked": built.facts.media_type, "variants": built.facts.blake3})
    return built


def _read(path: Path) -> BuiltImage | None:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=BuiltImage)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fsync_folder(path.parent)


def fsync_file(path: Path) -> None:
    """Make a file that somebody has written durable, and its name."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    fsync_folder(path.parent)
