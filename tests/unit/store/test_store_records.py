"""Records, holdings and facts: numbered, replaced by key, readable by a person, found again without the catalogue."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from store.errors import DiskFailed, StoreDamaged, StoreError, StoreInUse
from store.reader import Reader
from store.record_lines import ASIDE, Line, decode_line, encode_line
from store.record_order import PREFIX_BYTES, key_of
from store.store import HoldingState, Owner, RecordEntry, Store
from tests.unit.store.made import HOUR_MS, Clock, FailingDisk, block, large

ROOT = Path(__file__).resolve().parents[3]
JOB = Owner("job", b"add 1")


def entry(key: str, version: int = 1, padding: int = 0) -> RecordEntry:
    readable = {"name": f"Bild {key} ü", "version": version, "padding": "x" * padding}
    return RecordEntry(key=key.encode(), kind="pin", raw=b"signed %d\x00\xff" % version, readable=readable)


def loaded(store: Store) -> dict[str, int]:
    return {entry.key.decode(): int(entry.readable["version"]) for entry in store.load_records()}


def bad_checks(store: Store) -> list[str]:
    return [result.check for result in store.check() if not result.ok]


def reopened(store: Store, home: Path) -> Store:
    store.close()
    return Store.open(home)


def test_records_come_back_as_they_were_the_later_of_a_key_winning(store: Store) -> None:
    store.append_records([entry("a"), entry("b"), entry("a", 2)])
    assert list(store.load_records()) == [entry("a", 2), entry("b")]
    store.forget_records([b"a", b"unknown"])
    assert loaded(store) == {"b": 1}
    store.append_records([entry("a", 3)])
    assert loaded(store) == {"a": 3, "b": 1}


def test_what_is_kept_aside_is_not_given_out_with_the_rest(store: Store, home: Path) -> None:
    aside = RecordEntry(key=b"aside/a", kind=ASIDE, raw=b"a", readable={})
    store.append_records([entry("b"), aside])
    for opened in (store, reopened(store, home)):
        assert list(opened.load_records()) == [entry("b")]
        assert list(opened.load_records(aside=True)) == [aside]
        assert list(opened.signed_pages()) == [[(entry("b").raw, None)]]


def test_a_segment_is_lines_of_json_that_a_person_can_read(store: Store, home: Path) -> None:
    store.append_records([entry("a")])
    (line,) = (home / "records" / "00000001.jsonl").read_text().splitlines()
    fields = json.loads(line)
    assert fields["kind"] == "pin"
    assert fields["record"]["name"] == "Bild a ü"
    assert set(fields) == {"kind", "key", "record", "signed", "crc32"}


@pytest.mark.parametrize("at", [0, 20, 60, -3])
def test_a_line_with_one_byte_changed_is_known_to_be_damaged(at: int) -> None:
    raw = bytearray(encode_line(Line("pin", b"key", b"signed", '{"a":1}')))
    assert decode_line(bytes(raw)) == Line("pin", b"key", b"signed", '{"a":1}')
    raw[at] ^= 1
    assert decode_line(bytes(raw)) is None


def test_without_the_catalogue_records_and_blocks_are_found_again(home: Path, clock: Clock) -> None:
    store = Store.open(home, clock_ms=clock)
    blocks = [large("big"), block("small")]
    store.put(blocks, owner=JOB)
    store.append_records([entry("a"), entry("b"), entry("a", 2)])
    store.forget_records([b"b"])
    store_id = store.store_id
    store.close()
    (home / "catalogue.db").unlink()
    store = Store.open(home, clock_ms=clock)
    try:
        assert store.rebuilt
        assert store.store_id == store_id
        assert loaded(store) == {"a": 2}
        assert [store.get(cid) for cid, _ in blocks] == [content for _, content in blocks]
        assert bad_checks(store) == []
        clock.now_ms += 2 * HOUR_MS
        assert store.collect(clock.now_ms).blocks == 0
        store.hold(blocks[0][0], kind="ipfs", blocks=[blocks[0][0]], size_bytes=1, frm=None)
        store.finish_recovery()
        clock.now_ms += 2 * HOUR_MS
        assert store.collect(clock.now_ms).blocks == 1
        assert store.has(blocks[0][0])
    finally:
        store.close()
    store = Store.open(home)
    assert not store.rebuilt
    store.close()


@pytest.mark.parametrize("damage", [b"", b"this is no database at all" * 100, None])
def test_a_damaged_catalogue_is_put_aside_and_made_anew(home: Path, damage: bytes | None) -> None:
    store = Store.open(home)
    store.put([large("big")], owner=JOB)
    store.append_records([entry("a")])
    store.close()
    catalogue = home / "catalogue.db"
    whole = catalogue.read_bytes()
    catalogue.write_bytes(whole[:4096] + b"?" * 4096 * 3 + whole[16384:] if damage is None else damage)
    for _ in range(2):  # damage that only work finds is mended at the next opening
        store = Store.open(home)
        try:
            good = loaded(store) == {"a": 1} and store.has(large("big")[0]) and bad_checks(store) == []
        except StoreDamaged:
            good = False
        rebuilt = store.rebuilt
        store.close()
        if good:
            break
    assert good
    assert rebuilt


def test_a_catalogue_from_before_is_known_as_old(home: Path) -> None:
    store = Store.open(home)
    store.append_records([entry("a")])
    store.close()
    before = (home / "catalogue.db").read_bytes()
    store = Store.open(home)
    store.append_records([entry("a", 2), entry("b")])
    store.put([large("later")], owner=JOB)
    store.close()
    (home / "catalogue.db").write_bytes(before)
    store = Store.open(home)
    try:
        assert store.rebuilt
        assert loaded(store) == {"a": 2, "b": 1}
        assert store.get(large("later")[0]) == large("later")[1]
        assert bad_checks(store) == []
    finally:
        store.close()


def test_a_newer_catalogue_is_refused_and_left_alone(home: Path) -> None:
    Store.open(home).close()
    with sqlite3.connect(home / "catalogue.db") as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    with pytest.raises(StoreDamaged, match="version 999"):
        Store.open(home)
    assert list((home / "quarantine").iterdir()) == []


def test_a_catalogue_of_version_3_is_put_in_the_order_of_what_records_are_about(home: Path) -> None:
    store = Store.open(home)
    store.append_records([entry("a"), entry("b"), entry("c")])
    store.forget_records([b"b"])
    store.close()
    with sqlite3.connect(home / "catalogue.db") as db:
        db.execute("UPDATE records SET key = substr(key, 1 + ?)", (PREFIX_BYTES,))
        db.execute("PRAGMA user_version = 3")
        assert sorted(key for (key,) in db.execute("SELECT key FROM records")) == [b"a", b"b", b"c"]
    db.close()
    for _ in range(2):  # and no second time
        store = Store.open(home)
        assert not store.rebuilt
        assert loaded(store) == {"a": 1, "c": 1}
        store.close()
    store = Store.open(home)
    store.append_records([entry("a", 2), entry("b", 2)])
    store.forget_records([b"c"])
    assert loaded(store) == {"a": 2, "b": 2}
    assert bad_checks(store) == []
    store.close()
    (home / "catalogue.db").unlink()
    store = Store.open(home)
    assert loaded(store) == {"a": 2, "b": 2}
    store.close()


def test_versions_of_one_record_lie_side_by_side_in_the_catalogue(home: Path) -> None:
    about = [f"{number:017}" for number in range(20)]
    store = Store.open(home)
    store.append_records([entry(one + author) for author in ("ada", "bob") for one in about])
    store.close()  # another SQLite in this process would take its locks, and its log, away
    with sqlite3.connect(home / "catalogue.db") as db:
        ordered = [key_of(key)[:17].decode() for (key,) in db.execute("SELECT key FROM records ORDER BY key")]
    db.close()
    assert ordered[::2] == ordered[1::2] != about
    assert sorted(ordered[::2]) == about


def test_a_torn_last_line_is_cut_off_and_a_damaged_one_reported(home: Path) -> None:
    store = Store.open(home)
    store.append_records([entry("a"), entry("b"), entry("c")])
    store.close()
    segment = home / "records" / "00000001.jsonl"
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(lines[0] + lines[1].replace(b"Bild", b"Bald") + lines[2] + b'{"kind":"pin","torn')
    (home / "catalogue.db").unlink()
    store = Store.open(home)
    try:
        assert loaded(store) == {"a": 1, "c": 1}
        assert [result.detail for result in store.check() if not result.ok] == [
            "1 damaged: records/00000001.jsonl line 2"
        ]
        store.append_records([entry("d")])
        assert loaded(store) == {"a": 1, "c": 1, "d": 1}
    finally:
        store.close()


def test_a_lost_segment_is_written_again_from_the_catalogue(home: Path) -> None:
    store = Store.open(home)
    store.append_records([entry("a"), entry("b")])
    store.close()
    (home / "records" / "00000001.jsonl").unlink()
    store = Store.open(home)
    try:
        assert loaded(store) == {"a": 1, "b": 1}
        assert bad_checks(store) == []
    finally:
        store.close()
    assert len((home / "records" / "00000001.jsonl").read_bytes().splitlines()) == 2


def test_segments_that_are_mostly_dead_are_compacted(home: Path, clock: Clock) -> None:
    store = Store.open(home, clock_ms=clock)
    store._compactor.min_dead_bytes = 5000
    store.append_records([entry("kept"), entry("gone")])
    for version in range(30):
        store.append_records([entry("a", version, padding=500)])
    store.forget_records([b"gone"])
    assert store.collect(clock.now_ms).segments
    assert not store.collect(clock.now_ms).segments
    store.append_records([entry("b")])
    assert loaded(store) == {"kept": 1, "a": 29, "b": 1}
    assert bad_checks(store) == []
    assert sum(path.stat().st_size for path in (home / "records").iterdir()) < 2000
    store.close()
    (home / "catalogue.db").unlink()
    store = Store.open(home)
    assert loaded(store) == {"kept": 1, "a": 29, "b": 1}
    store.close()


def test_records_are_kept_in_the_catalogue_while_the_segment_cannot_be_written(
    store: Store, disk: FailingDisk, home: Path
) -> None:
    store.append_records([entry("a")])
    disk.only, disk.fails_with = ("write",), 28
    store.append_records([entry("b")])
    assert loaded(store) == {"a": 1, "b": 1}
    assert "disk" in bad_checks(store)
    disk.fails_with = None
    store.append_records([entry("c")])
    assert bad_checks(store) == []
    assert len((home / "records" / "00000001.jsonl").read_bytes().splitlines()) == 3


def test_holdings_are_numbered_and_the_numbers_outlive_a_start(store: Store, home: Path) -> None:
    assert store.holding_state() == HoldingState(1, 0)
    one, two = block("one"), block("two")
    store.put([one, two], owner=JOB)
    first = store.hold(one[0], kind="ipfs", blocks=[one[0]], size_bytes=10, frm=JOB)
    second = store.hold(two[0], kind="ipfs", blocks=[two[0]], size_bytes=20, frm=JOB)
    again = store.hold(one[0], kind="ipfs", blocks=[one[0]], size_bytes=10, frm=None)
    assert [(held.epoch, held.seq, held.changed) for held in (first, second, again)] == [
        (1, 1, True),
        (1, 2, True),
        (1, 1, False),
    ]
    released = store.release(one[0], "ipfs")
    assert released is not None
    assert (released.epoch, released.seq) == (1, 3)
    assert store.release(one[0], "ipfs") is None
    assert [(held.root, held.seq) for held in store.holdings()] == [(two[0], 2)]
    assert store.new_epoch(7) == HoldingState(7, 0)
    assert store.new_epoch(3) == HoldingState(8, 0)
    assert store.holdings()[0].seq == 0


def test_image_and_record_are_committed_together_or_not_at_all(store: Store) -> None:
    one, absent = block("one"), block("absent")
    store.put([one], owner=JOB)
    with pytest.raises(StoreError):
        store.commit_image(one[0], "ipfs", [one[0], absent[0]], 1, JOB, [entry("a")])
    assert store.holdings() == []
    assert loaded(store) == {}
    store.commit_image(one[0], "ipfs", [one[0]], 1, JOB, [entry("a")])
    assert loaded(store) == {"a": 1}
    assert bad_checks(store) == []


def test_facts_are_kept_by_name_and_prefix(store: Store) -> None:
    store.set_fact("lease/a", b"1")
    store.set_fact("lease/b", b"2")
    store.set_fact("lease0", b"3")
    store.set_fact("lease/a", b"4")
    assert store.facts("lease/") == {"lease/a": b"4", "lease/b": b"2"}
    store.set_fact("lease/a", None)
    assert store.fact("lease/a") is None
    assert store.fact("lease/b") == b"2"


def test_a_store_in_use_names_the_pid(store: Store, home: Path) -> None:
    code = f"""
from pathlib import Path
from store.errors import StoreInUse
from store.store import Store
try:
    Store.open(Path({str(home)!r}))
except StoreInUse as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    with pytest.raises(StoreInUse) as caught:
        Store.open(home)
    assert done.stdout.strip() == str(caught.value)
    assert f"in use by pid {caught.value.pid}" in done.stdout


def test_the_workspace_is_emptied_at_opening(store: Store, home: Path) -> None:
    (store.workspace / "upload").mkdir()
    (store.workspace / "upload" / "half").write_bytes(b"half a picture")
    for kept in ("jobs/7", "uploads"):
        (store.workspace / kept).mkdir(parents=True)
    store = reopened(store, home)
    assert sorted(path.name for path in store.workspace.rglob("*")) == ["7", "jobs", "uploads"], (
        "others know whose they are"
    )
    store.close()


def test_another_process_reads_while_the_store_writes(store: Store, home: Path) -> None:
    one, two = large("one"), block("two")
    store.put([one], owner=JOB)
    code = f"""
import sys
from pathlib import Path
from store.reader import Reader
from tests.unit.store.made import block, large
reader = Reader.open(Path({str(home)!r}))
print(reader.get(large("one")[0]) == large("one")[1], reader.has(block("two")[0]), flush=True)
sys.stdin.readline()
print(reader.get(block("two")[0]) == block("two")[1], reader.size(block("two")[0]), flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == "True False\n"
        store.put([two], owner=JOB)
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "True 100\n"


def test_a_reader_needs_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreDamaged, match=r"catalogue\.db"):
        Reader.open(tmp_path)


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskFailed, match="file"):
        Store.open(tmp_path / "file" / "peer")
