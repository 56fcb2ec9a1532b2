"""When a peer says that it is full: by its capacity, or because others filled the disk under it."""

from collections import namedtuple
from pathlib import Path

import pytest

from node import self_description as module
from node.config import load
from node.offering import Offering
from node.self_description import SelfDescription
from node.standing_orders import StandingOrders
from store.store import Store

GIB = 1 << 30
Usage = namedtuple("Usage", "total used free")


def test_a_disk_that_others_filled_is_full_until_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [100 * GIB]
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: Usage(0, 0, free[0]))
    config = load(tmp_path, {"PINAKOTHEK_CAPACITY": "50GiB"}).config
    store = Store.open(tmp_path / "store")
    try:
        monkeypatch.setattr(store, "used_bytes", lambda: 8 * GIB)
        about = SelfDescription(store, config, StandingOrders(store), Offering(store, {}))

        def full() -> bool:
            [backend] = about.describe().backends
            return backend.full

        said = []
        for free[0] in (100 * GIB, GIB, GIB // 4, 0, GIB, 2 * GIB, GIB):
            said.append(full())
        assert said == [False, False, True, True, True, False, False]
        assert about.describe().capacity_bytes == 50 * GIB, "what is offered stays: placement goes by it"
    finally:
        store.close()


def test_a_refusal_ends_once_somebody_made_room_and_else_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, now_s = [GIB], [1000.0]
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: Usage(0, 0, free[0]))
    monkeypatch.setattr(module.time, "monotonic", lambda: now_s[0])
    config = load(tmp_path, {"PINAKOTHEK_CAPACITY": "50GiB"}).config
    store = Store.open(tmp_path / "store")
    try:
        about = SelfDescription(store, config, StandingOrders(store), Offering(store, {}))
        about.disk_refused("a quota")
        said = []
        for free[0] in (GIB, GIB // 4, GIB + 1, GIB + module.ROOM_MADE_BYTES, GIB):
            said.append(about.refusal)
        assert said == ["a quota", "a quota", "a quota", None, None]
        about.disk_refused("a quota")
        now_s[0] += module.REFUSED_S
        assert about.refusal is None
    finally:
        store.close()
