"""The pipeline over a real store: where an image is kept whose backend does not take it."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from node.errors import Failed
from node.ingest.intake import Intake, Request
from protocol.pin import Pin
from store.errors import BackendRefused
from store.images.build import build_image
from store.images.facts import BuiltImage
from store.images.limits import ImageLimits
from store.store import Holding, RecordEntry, Store
from tests.backends.fragile import Fragile
from tests.pictures import saved, scene


class Decoder:
    async def build(self, path: Path, *, variants: bool) -> BuiltImage:
        return build_image(path, ImageLimits(), variants=variants)


class Records:
    counting = SimpleNamespace(pins_by_original=lambda _: ())

    async def write_along(self, pin: Pin, persist: Callable[[RecordEntry], Holding]) -> tuple[Pin, Holding]:
        return pin, await trio.to_thread.run_sync(persist, RecordEntry(key=b"k", kind="pin", raw=b"r"))


async def taken(folder: Path, backend: Fragile, patience_s: float = 600) -> tuple[Any, list[Holding]]:
    picture = folder / "a.png"
    picture.write_bytes(saved(scene(), "PNG"))
    told: list[Holding] = []
    store = Store.open(folder / "store", backends={"local": backend})
    try:
        intake = Intake(
            store, Decoder(), Records(), kinds_of=lambda _: (), keeps_on=lambda kind, _: kind,  # type: ignore[arg-type]
            on_holding=lambda holding, _: told.append(holding),
        )  # fmt: skip
        request = Request(path=picture, name="a.png", flow="album", backend="local", patience_s=patience_s)
        return await intake.take(request), told
    finally:
        if backend.silence is not None:
            backend.silence.set()
        store.close()


async def test_for_a_backend_that_falls_silent_or_is_down_it_is_kept_embedded(tmp_path: Path) -> None:
    """Whoever waits learns within the time that they said that it is not there yet, and nothing is lost."""
    for name in ("silent", "down"):
        backend = Fragile()
        backend.silence = threading.Event() if name == "silent" else None
        backend.down = name == "down"
        (tmp_path / name).mkdir()
        found, [holding] = await taken(tmp_path / name, backend, 0.05)
        assert (holding.root, holding.kind) == (found.root, "ipfs")
        assert found.pin.backend == "local", "that is where it belongs"
        assert found.waited_s > 0


async def test_what_a_backend_takes_was_not_waited_for(tmp_path: Path) -> None:
    found, [holding] = await taken(tmp_path, Fragile())
    assert (holding.kind, found.waited_s) == ("local", 0)


async def test_a_backend_that_refuses_is_told(tmp_path: Path) -> None:
    class Refusing(Fragile):
        def _check(self) -> None:
            raise BackendRefused(self.place, "answered 403 forbidden")

    with pytest.raises(Failed, match="403"):
        await taken(tmp_path, Refusing())
