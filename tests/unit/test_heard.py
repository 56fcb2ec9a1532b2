"""What was heard of members outlives a restart and a lost catalogue, and says whom a recovering peer waits for."""

from pathlib import Path

import pytest

from node.replication.ever_held import EverHeld
from node.swarm.heard import FILE, LATELY_MS, Heard, heard_lately, load_heard, save_heard
from protocol.identity import PeerId
from store.store import Store

ADA, BOB, CYD = map(PeerId, ("ada", "bob", "cyd"))
NOW_MS = 1_800_000_000_000


def test_it_is_read_back(tmp_path: Path) -> None:
    heard = {ADA: Heard(3, 4, NOW_MS), BOB: Heard(1, 0, 0), CYD: Heard(2, 7, NOW_MS, cloned_epoch=3)}
    save_heard(tmp_path, heard)
    assert load_heard(tmp_path) == heard
    save_heard(tmp_path, {ADA: Heard(4, 0, NOW_MS)})
    assert load_heard(tmp_path) == {ADA: Heard(4, 0, NOW_MS)}
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 1}', b'{"a": [1]}', b'{"a": ["x", 1, 2]}', b"\xff"])
def test_a_damaged_file_costs_nothing_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert load_heard(tmp_path) == {}


def test_members_silent_for_a_month_are_not_waited_for() -> None:
    heard = {ADA: Heard(1, 1, NOW_MS), BOB: Heard(1, 1, NOW_MS - LATELY_MS - 1), CYD: Heard(1, 1, NOW_MS - LATELY_MS)}
    assert heard_lately(["ada", "bob", "cyd", "dan"], heard, NOW_MS) == {"ada", "cyd"}
    assert heard_lately(["bob", "cyd"], heard, NOW_MS) == {"cyd"}
    assert heard_lately(["ada", "bob"], {}, NOW_MS) == {"ada", "bob"}


def test_a_root_once_held_is_remembered_but_lost_only_once_the_others_are_known(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    ever = EverHeld(store)
    for root in (b"one", b"two", b"two", b"gone"):
        ever.add(root)
        assert root in ever
    assert b"three" not in ever
    ever.save()
    again = EverHeld(store)
    assert b"one" not in again
    again.holders_known = True
    assert b"one" in again
    again.save_forgotten(again.forget(lambda root: root != b"gone"))
    last = EverHeld(store)
    last.holders_known = True
    assert [root in last for root in (b"one", b"two", b"gone")] == [True, True, False]
    store.close()
