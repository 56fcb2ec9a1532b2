"""Until when a peer was in touch, as its data directory tells at a start."""

from pathlib import Path

from node.events import wall_ms
from node.swarm.heard import Heard
from node.swarm.homecoming import FACT, load_touch
from protocol.identity import KeyPair, PeerId
from protocol.limits import MS_PER_DAY
from protocol.stamp import ZERO, Stamp
from protocol.touch import Touch
from store.store import RecordEntry, Store

BOB = PeerId(KeyPair(b"b" * 32).peer_id)


def filled(folder: Path) -> Path:
    """A data directory with a record in it."""
    store = Store.open(folder)
    store.append_records([RecordEntry(key=b"k", kind="pin", raw=b"raw")])
    store.close()
    return folder


def touch_in(folder: Path, heard: dict[PeerId, Heard], newest: Stamp) -> Touch:
    store = Store.open(folder)
    try:
        return load_touch(store, heard, newest)
    finally:
        store.close()


def test_a_new_peer_and_one_of_an_older_version_are_in_touch(tmp_path: Path) -> None:
    before_ms = wall_ms()
    assert touch_in(tmp_path / "new", {}, ZERO).at_ms >= before_ms
    assert touch_in(filled(tmp_path / "older"), {BOB: Heard(1, 1, 5)}, Stamp(5, 0)).at_ms >= before_ms


def test_what_was_written_down_holds(tmp_path: Path) -> None:
    touch = Touch(7, 6, Stamp(5, 4), 3, ("me", BOB))
    store = Store.open(tmp_path)
    store.set_fact(FACT, touch.to_bytes())
    store.close()
    assert touch_in(tmp_path, {}, Stamp(9, 0)) == touch


def test_what_a_backup_was_restored_to_is_as_old_as_its_newest_record(tmp_path: Path) -> None:
    """Its archive holds the records alone; it must not bring back what was deleted and forgotten since."""
    folder = filled(tmp_path)
    (folder / "catalogue.db").unlink()
    old = Stamp(wall_ms() - 90 * MS_PER_DAY, 0)
    touch = touch_in(folder, {}, old)
    assert touch == Touch(old.ms)
    assert touch.unsynced(wall_ms())
    assert touch_in(folder, {}, Stamp(2 * wall_ms(), 0)).at_ms <= wall_ms(), "a stamp of a clock that was wrong"
    heard_ms = old.ms + 80 * MS_PER_DAY
    assert touch_in(folder, {BOB: Heard(1, 1, heard_ms)}, old) == Touch(heard_ms), "its catalogue alone was lost"
