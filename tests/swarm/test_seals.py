"""A start checks no signature that this peer has checked before, and every one that it has not."""

from collections.abc import Sequence
from pathlib import Path

import apsw

from node.events import wall_ms
from node.swarm.checking import Found, nowhere_else
from node.swarm.records import SharedRecords
from node.swarm.storing import entry_of
from protocol.author import Author
from protocol.codec import encode_value
from protocol.identity import KeyPair
from protocol.pin import Pin
from protocol.records import Record, Signed, read_record
from protocol.recordset import RecordSet
from store.record_order import in_order
from store.store import Store
from tests.swarm.fellows import Founded


class Start:
    """One start's reading of a store.

    Attributes:
        asked: how many signatures it checked.
    """

    def __init__(self, founded: Founded, store: Store, key: KeyPair) -> None:
        self.asked = 0
        self.records = SharedRecords(
            store, RecordSet(founded.swarm), Author(key), None, on_change=lambda _: None, on_news=lambda _: None,
            check=self._check,
        )  # fmt: skip

    async def _check(self, raws: Sequence[bytes]) -> Found:
        self.asked += len(raws)
        return await nowhere_else(raws)


async def started(founded: Founded, folder: Path, key: KeyPair | None = None) -> tuple[int, set[bytes]]:
    """How many signatures a start checks, and what it knows then."""
    store = Store.open(folder)
    try:
        start = Start(founded, store, key or founded.keys[0])
        await start.records.load()
        return start.asked, {signed.raw for signed in start.records.counting}
    finally:
        store.close()


def pins(founded: Founded, count: int) -> list[Signed[Record]]:
    author = Author(founded.keys[0])
    return [author.write(Pin(id=bytes([n]) * 16, flow="f", root=b"root"), wall_ms()) for n in range(count)]


async def test_what_came_in_or_was_checked_once_is_checked_at_no_later_start(tmp_path: Path) -> None:
    founded = Founded(1)
    came, put = pins(founded, 8)[:4], pins(founded, 8)[4:]
    store = Store.open(tmp_path)
    try:
        await Start(founded, store, founded.keys[0]).records.accept([one.raw for one in (*founded.records, *came)])
        store.append_records([entry_of(one) for one in put])
    finally:
        store.close()
    everything = {one.raw for one in (*founded.records, *came, *put)}
    assert await started(founded, tmp_path) == (len(put), everything)
    assert await started(founded, tmp_path) == (0, everything)
    as_another = KeyPair(b"n" * 32)  # whose key has sealed none of them
    assert await started(founded, tmp_path, as_another) == (len(everything), everything)


async def test_a_record_that_was_altered_below_its_seal_is_found_and_left_out(tmp_path: Path) -> None:
    founded = Founded(1)
    store = Store.open(tmp_path)
    [victim, *others] = pins(founded, 5)
    try:
        await Start(founded, store, founded.keys[0]).records.accept(
            [one.raw for one in (*founded.records, victim, *others)]
        )
    finally:
        store.close()
    assert (await started(founded, tmp_path))[0] == 0
    read = read_record(victim.raw)
    assert read is not None
    _, (_, message, signature) = read
    altered = message.removeprefix(b"pinakothek-signed:")
    forged = encode_value({"p": altered.replace(b"Droot", b"Dtoor"), "s": signature})
    with apsw.Connection(str(tmp_path / "catalogue.db")) as db:
        db.execute("UPDATE records SET signed = ? WHERE key = ?", (forged, in_order(victim.storage_key)))
    checked, known = await started(founded, tmp_path)
    assert (checked, known) == (1, {one.raw for one in (*founded.records, *others)})
