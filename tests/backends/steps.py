"""What tests of the store with several kinds do to it, and look at afterwards."""

from collections.abc import Mapping
from pathlib import Path

from store.backends import Backend
from store.store import Owner, RecordEntry, Store
from tests.backends.images import Image
from tests.unit.store.made import HOUR_MS, Clock

JOB = Owner("job", b"job")


def opened_with(home: Path, clock: Clock, backends: Mapping[str, Backend]) -> Store:
    return Store.open(home / "peer", clock_ms=clock, backends=backends)


def take_in(store: Store, one: Image, kind: str) -> None:
    store.put(one.blocks.items(), owner=JOB)
    entry = RecordEntry(key=one.root, kind="pin", raw=b"signed")
    held = store.commit_image(one.root, kind, list(one.blocks), one.size_bytes, JOB, [entry])
    assert held.changed


def hold_again(store: Store, one: Image, kind: str) -> bool:
    return store.hold(one.root, kind=kind, blocks=list(one.blocks), size_bytes=one.size_bytes, frm=None).changed


def check(store: Store, one: Image) -> None:
    for cid, block in one.blocks.items():
        assert store.size(cid) == len(block)
        assert store.get(cid) == block
    assert [result.check for result in store.check() if not result.ok] == []


def held(store: Store) -> set[tuple[bytes, str]]:
    return {(element.root, element.kind) for element in store.holdings()}


def leave_embedded(store: Store, clock: Clock) -> None:
    """What nobody owns in the embedded store goes."""
    clock.now_ms += 2 * HOUR_MS
    store.collect(clock.now_ms)
