"""What was put aside outlives a restart, is counted, and goes when it is over or wanted again."""

from pathlib import Path

import pytest
import trio

from node.operations.counted import of_aside
from node.swarm.set_aside import SetAside
from protocol.author import Author
from protocol.identity import KeyPair
from protocol.limits import MS_PER_DAY
from protocol.records import Flow, Pin
from protocol.touch import Aside
from store.store import Store

NOW_MS = 1_800_000_000_000
TRASH_DAYS = 30
AUTHOR = Author(KeyPair(b"a" * 32))


def pin_of(number: int, root: int, *, deleted: bool) -> Aside:
    record = Pin(id=bytes([number]) * 16, flow="album", root=b"\x01\x55\x12\x20" + bytes([root]) * 32)
    return Aside(AUTHOR.write(record, NOW_MS), "nobody knew it", deleted)


def metrics(aside: SetAside) -> dict[str, float]:
    return {sample.name: sample.value for family in of_aside(aside) for sample in family.samples}


def counts(records: int, roots: int) -> dict[str, float]:
    return {"pinakothek_records_set_aside": records, "pinakothek_roots_set_aside": roots}


async def test_it_is_counted_and_goes_when_it_is_over_or_wanted(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert metrics(SetAside(store)) == counts(0, 0)
    flow = Aside(AUTHOR.write(Flow(name="album"), NOW_MS), "nobody knew it", deleted=True)
    some = [pin_of(1, 1, deleted=False), pin_of(2, 1, deleted=True), pin_of(3, 2, deleted=False), flow]
    await SetAside(store).put(some, NOW_MS, TRASH_DAYS)
    again = SetAside(store)
    await trio.to_thread.run_sync(again.load)
    assert metrics(again) == counts(4, 2)
    wanted = some[2].signed.record.root  # type: ignore[union-attr]
    assert await again.drop(again.over(NOW_MS, lambda root, until_ms: root == wanted)) == [wanted]
    assert metrics(again) == counts(3, 1)
    over_ms = NOW_MS + TRASH_DAYS * MS_PER_DAY
    assert again.over(over_ms - 1, lambda root, until_ms: False) == []
    assert await again.drop(again.over(over_ms, lambda root, until_ms: False)) == []
    assert metrics(again) == counts(1, 1)
    store.close()


async def test_each_root_that_a_pin_names_in_turn_is_kept_and_let_go(tmp_path: Path) -> None:
    """Else whoever makes a pin name a third root has the first one let go, or the second stays for ever."""
    store = Store.open(tmp_path)
    here = SetAside(store)
    for root in (1, 2):
        await here.put([pin_of(1, root, deleted=True)], NOW_MS, TRASH_DAYS)
    again = SetAside(store)
    await trio.to_thread.run_sync(again.load)
    assert metrics(here) == metrics(again) == counts(2, 2)
    key = pin_of(1, 1, deleted=True).signed.key
    purged = again.over(NOW_MS, lambda root, until_ms: False, lambda found: found == key)
    assert len(await again.drop(purged)) == 2
    assert metrics(again) == counts(0, 0)
    assert again.roots == ()
    assert not list(store.load_records(aside=True))
    store.close()


async def test_what_is_put_aside_once_more_while_it_is_let_go_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    here, pin = SetAside(store), pin_of(1, 1, deleted=True)
    await here.put([pin], NOW_MS, TRASH_DAYS)
    forget = store.forget_records

    def forget_and_put(keys: list[bytes]) -> None:
        trio.from_thread.run_sync(nursery.start_soon, here.put, [pin], NOW_MS + 1, TRASH_DAYS)
        trio.from_thread.run(trio.lowlevel.checkpoint)
        forget(keys)

    monkeypatch.setattr(store, "forget_records", forget_and_put)
    async with trio.open_nursery() as nursery:
        over = here.over(NOW_MS, lambda root, until_ms: True)
        assert await here.drop(over) == []
    again = SetAside(store)
    await trio.to_thread.run_sync(again.load)
    assert metrics(here) == metrics(again) == counts(1, 1)
    store.close()


@pytest.mark.parametrize("first_deleted", [True, False])
async def test_what_is_put_aside_once_more_is_kept_no_less_long(tmp_path: Path, *, first_deleted: bool) -> None:
    """By another charter the trash is emptied sooner; or it was to stay until somebody wants it."""
    store = Store.open(tmp_path)
    here = SetAside(store)
    await here.put([pin_of(1, 1, deleted=first_deleted)], NOW_MS, TRASH_DAYS)
    await here.put([pin_of(1, 1, deleted=True)], NOW_MS, 1)
    again = SetAside(store)
    await trio.to_thread.run_sync(again.load)
    root = pin_of(1, 1, deleted=True).signed.record.root  # type: ignore[union-attr]
    until_ms = NOW_MS + TRASH_DAYS * MS_PER_DAY if first_deleted else None
    assert here.untils_of(root) == again.untils_of(root) == [until_ms]
    store.close()
