"""What runs in a decoder's process: a stranger's bytes are decoded under the system's own limits.

`prepare` runs once, `build` once an image. Neither Pillow nor numpy is imported by importing this module, so that the
daemon, which only names these functions, stays small.
"""

import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from store.errors import ImageRejected
from store.images.facts import BuiltImage
from store.images.limits import ImageLimits, too_much_memory
from store.images.made import Edited, FrameBatch, Stripped

Made = TypeVar("Made")


class Refusal(NamedTuple):
    """Why an image was rejected: a value, because exceptions do not cross processes unchanged."""

    reason: str


def prepare(limits: ImageLimits) -> None:
    """Import what decoding needs, then give up what it does not: memory, files, core dumps, life after the parent."""
    # Threads of BLAS would each reserve address space, and our sums are in integers.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from store.images import build  # noqa: F401

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (limits.address_space_bytes, limits.address_space_bytes))


def build(path: Path, limits: ImageLimits, variants: bool) -> BuiltImage | Refusal:
    """See `build.build_image`; a rejection is returned."""
    from store.images.build import build_image

    return _refusing(limits, lambda: build_image(path, limits, variants=variants))


def strip(path: Path, limits: ImageLimits) -> Stripped | Refusal:
    """See `build.strip_original`; a rejection is returned."""
    from store.images.build import strip_original

    return _refusing(limits, lambda: strip_original(path, limits))


def edit(path: Path, limits: ImageLimits, operations: tuple[str, ...], frame: int) -> Edited | Refusal:
    """See `edit.edit_image`; a rejection is returned."""
    from store.images.edit import edit_image

    return _refusing(limits, lambda: edit_image(path, limits, operations, frame))


def frames(path: Path, limits: ImageLimits, start: int) -> FrameBatch | Refusal:
    """See `edit.compose_frames`; a rejection is returned."""
    from store.images.edit import compose_frames

    return _refusing(limits, lambda: compose_frames(path, limits, start))


def _refusing(limits: ImageLimits, work: Callable[[], Made]) -> Made | Refusal:
    """Do `work` within the processor's limit; a rejection is returned, because exceptions do not cross unchanged."""
    _allow_cpu(limits.cpu_s)
    try:
        return work()
    except ImageRejected as rejection:
        return Refusal(rejection.reason)
    except MemoryError:
        return Refusal(too_much_memory(limits).reason)


def _allow_cpu(seconds: int) -> None:
    """Let this process use `seconds` more of processor time; the kernel's SIGXCPU ends it then."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + seconds, hard))


def _die_with_parent() -> None:
    """End this process when the daemon is gone, even by SIGKILL and in the middle of a decoding.

    Not PR_SET_PDEATHSIG: that fires when the *thread* that started us ends, and the daemon's threads come and go.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    threading.stack_size(256 << 10)
    threading.Thread(target=_outlive, args=(parent.sentinel,), daemon=True).start()


def _outlive(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
