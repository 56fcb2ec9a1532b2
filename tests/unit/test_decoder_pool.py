"""The pool of decoders: one hostile image costs one image, and no worker outlives the daemon."""

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import trio

from node.ingest.decoder import DecoderPool
from store.errors import ImageRejected
from store.images import worker
from store.images.limits import ImageLimits
from tests.pictures import PHOTOS, built, film, saved, scene

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0


def misbehave(path: Path, limits: ImageLimits, variants: bool) -> object:
    """Runs in the worker in place of `worker.build`; the file says what to do."""
    match path.read_text().split():
        case ["crash"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        case ["killed"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["exit"]:
            os._exit(3)
        case ["hang"]:
            time.sleep(DEADLINE_S * 10)
        case ["nap"]:
            time.sleep(7)
        case ["burn"]:
            worker._allow_cpu(limits.cpu_s)
            while True:
                pass
        case ["terminated-once"]:
            marker = path.with_suffix(".seen")
            if not marker.exists():
                marker.mkdir()
                os.kill(os.getpid(), signal.SIGTERM)
        case ["limits"]:
            kinds = ("AS", "CORE", "FSIZE", "CPU")
            return worker.Refusal(" ".join(str(resource.getrlimit(getattr(resource, f"RLIMIT_{k}"))[0]) for k in kinds))
        case ["sigint"]:
            os.kill(os.getpid(), signal.SIGINT)
        case ["memory"]:
            try:
                bytearray(2 << 30)
            except MemoryError:
                return worker.Refusal("no memory")
    return worker.Refusal("done")


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write what the worker is to do into a file, and have it done."""
    monkeypatch.setattr(worker, "build", misbehave)

    def write(what: str) -> Path:
        path = tmp_path / what
        path.write_text(what)
        return path

    return write


async def reason(pool: DecoderPool, path: Path) -> str:
    with pytest.raises(ImageRejected) as rejected:
        await pool.build(path)
    return rejected.value.reason


def workers_of(pid: int) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


async def until(true: Callable[[], bool]) -> None:
    with trio.fail_after(DEADLINE_S):
        while not true():  # noqa: ASYNC110 - another process's state
            await trio.sleep(0.02)


async def test_the_pool_makes_what_one_process_makes(tmp_path: Path) -> None:
    async with DecoderPool() as pool:
        found = {}

        async def build(path: Path) -> None:
            found[path] = await pool.build(path)

        async with trio.open_nursery() as nursery:
            for path in PHOTOS[:4]:
                nursery.start_soon(build, path)
        assert found == {path: built(tmp_path, path.read_bytes()) for path in PHOTOS[:4]}
        assert (await pool.build(PHOTOS[0], variants=False)).files.keys() == {"image.json"}


async def test_rejections_keep_their_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    cut = tmp_path / "cut"
    cut.write_bytes(saved(scene(2000, 1500), "JPEG")[:20_000])
    async with DecoderPool() as pool:
        assert await reason(pool, tmp_path / "empty") == "not an image: empty, 0 bytes"
        assert await reason(pool, cut) == "truncated after 20000 bytes"
        assert await reason(pool, tmp_path / "absent") == "cannot be read: no such file or directory"


async def test_a_crash_costs_one_image(order: Callable[[str], Path]) -> None:
    async with DecoderPool(workers=1) as pool:
        assert await reason(pool, order("crash")) == "its decoder crashed (SIGSEGV)"
        assert await reason(pool, order("killed")) == "its decoder was killed, probably for want of memory"
        assert await reason(pool, order("exit")) == "its decoder ended with exit code 3"
        assert await reason(pool, order("well")) == "done"


async def test_too_slow_is_killed(order: Callable[[str], Path]) -> None:
    async with DecoderPool(workers=1, timeout_s=1) as pool:
        assert await reason(pool, order("hang")) == "took longer than 1 s to decode"
        await until(lambda: not workers_of(os.getpid()))


@pytest.mark.slow
async def test_waiting_for_a_turn_is_not_timed(order: Callable[[str], Path]) -> None:
    reasons = []
    async with DecoderPool(workers=1, timeout_s=12) as pool:

        async def nap() -> None:
            reasons.append(await reason(pool, order("nap")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(nap)
            nursery.start_soon(nap)
    assert reasons == ["done"] * 2


async def test_processor_time_is_bounded_by_the_system(order: Callable[[str], Path]) -> None:
    async with DecoderPool(workers=1, limits=ImageLimits(cpu_s=1)) as pool:
        assert await reason(pool, order("burn")) == "takes more than 1 s of processor time to decode"


async def test_a_signal_from_outside_is_not_the_images_fault(order: Callable[[str], Path]) -> None:
    async with DecoderPool(workers=1) as pool:
        assert await reason(pool, order("terminated-once")) == "done"


async def test_workers_ignore_ctrl_c(order: Callable[[str], Path]) -> None:
    async with DecoderPool(workers=1) as pool:
        assert await reason(pool, order("sigint")) == "done"


async def test_the_system_limits_are_set(order: Callable[[str], Path]) -> None:
    async with DecoderPool(workers=1) as pool:
        address_space, core, file_size, _cpu = (await reason(pool, order("limits"))).split()
        assert (address_space, core, file_size) == (str(1 << 30), "0", "0")
        assert await reason(pool, order("memory")) == "no memory"


@pytest.mark.slow
async def test_a_photo_needs_less_than_the_memory_allowed(tmp_path: Path) -> None:
    """A 24-megapixel PNG with alpha: nothing of it can be skipped, as of a JPEG."""
    large = tmp_path / "large"
    scene(6000, 4000).convert("RGBA").save(large, "PNG", compress_level=1)
    async with DecoderPool(workers=1) as pool:
        assert (await pool.build(large)).facts.width_px == 6000


async def test_cancelling_ends_the_worker(order: Callable[[str], Path]) -> None:
    async with DecoderPool(workers=1) as pool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.build, order("hang"))
            await until(lambda: bool(workers_of(os.getpid())))
            nursery.cancel_scope.cancel()
        assert workers_of(os.getpid()) == []


async def test_idle_workers_end(order: Callable[[str], Path]) -> None:
    async with DecoderPool(workers=1, idle_s=0.1) as pool:
        assert await reason(pool, order("well")) == "done"
        await until(lambda: not workers_of(os.getpid()))
        assert await reason(pool, order("well")) == "done"


DAEMON = """
import sys, time
from pathlib import Path
import trio
from node.ingest.decoder import DecoderPool
from store.images import worker
from tests.unit.test_decoder_pool import misbehave

worker.build = misbehave

async def main():
    async with DecoderPool() as pool:
        async with trio.open_nursery() as nursery:
            for path in sys.argv[1:]:
                nursery.start_soon(pool.build, Path(path))

trio.run(main)
"""


@pytest.mark.parametrize("what", ["hang", "burn"])
async def test_workers_die_with_a_killed_daemon(tmp_path: Path, what: str) -> None:
    order = tmp_path / "order"
    order.write_text(what)
    daemon = await trio.lowlevel.open_process([sys.executable, "-c", DAEMON, str(order)], cwd=ROOT)
    try:
        found: list[psutil.Process] = []

        def working() -> bool:
            found[:] = [w for w in workers_of(daemon.pid) if w.num_threads() > 1]
            return bool(found)

        await until(working)
    finally:
        daemon.kill()
        await daemon.wait()
    await until(lambda: not any(w.is_running() and w.status() != psutil.STATUS_ZOMBIE for w in found))


async def test_films_and_heic_are_decoded_within_a_workers_limits(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(scene(4000, 3000)).save(tmp_path / "photo.heic")
    (tmp_path / "film.mp4").write_bytes(film([scene(1920, 1080)] * 40))
    (tmp_path / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1000000000'/>")
    async with DecoderPool(workers=1) as pool:
        photo = await pool.build(tmp_path / "photo.heic")
        moving = await pool.build(tmp_path / "film.mp4")
        drawing = await pool.build(tmp_path / "drawing.svg")
    assert (photo.facts.media_type, photo.facts.width_px) == ("image/heic", 4000)
    assert (moving.facts.media_type, moving.facts.frames) == ("video/mp4", 40)
    assert (drawing.facts.media_type, drawing.facts.width_px, drawing.facts.height_px) == ("image/svg+xml", 1, 1600)
