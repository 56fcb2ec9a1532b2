"""What was put aside outlives a restart, is counted, and goes when it is over or wanted again."""

from pathlib import Path

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
