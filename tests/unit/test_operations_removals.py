"""Removing in bulk needs a steward, and the trash counts itself."""

from dataclasses import replace

from node.operations.bin import Bin
from node.operations.removing import WINDOW_S, RemovalWindow
from protocol.author import Author
from protocol.charter import swarm_hash
from protocol.founding import found_swarm
from protocol.identity import KeyPair
from protocol.pin import Pin, pin_id
from protocol.recordset import RecordSet

NOW_MS = 1_800_000_000_000
ROOT = b"\x01\x55\x12\x20" + bytes(32)
OTHER = b"\x01\x55\x12\x20" + bytes([1] * 32)


def test_twenty_may_go_however_few_there_are() -> None:
    window = RemovalWindow()
    assert not window.is_bulk(20, 20, now_s=0)
    assert window.is_bulk(21, 21, now_s=0)


def test_a_tenth_may_go_within_the_hour_and_no_more() -> None:
    window = RemovalWindow()
    assert not window.is_bulk(100, 1000, now_s=0)
    window.note(100, now_s=0)
    assert window.is_bulk(1, 900, now_s=WINDOW_S - 1)
    assert not window.is_bulk(1, 900, now_s=WINDOW_S)


def test_more_than_a_thousand_need_a_steward_in_any_swarm() -> None:
    window = RemovalWindow()
    assert not window.is_bulk(1000, 10**6, now_s=0)
    assert window.is_bulk(1001, 10**6, now_s=0)


class Swarm:
    """A record set with one curator."""

    def __init__(self) -> None:
        key, steward = KeyPair(b"a" * 32), KeyPair(b"s" * 32)
        founding = found_swarm(key.peer_id, steward, KeyPair(b"r" * 32).peer_id, name="s", now_ms=NOW_MS)
        self.records = RecordSet(swarm_hash(founding.swarm_id))
        self.author = Author(key)
        for signed in founding.records:
            self.records.merge(signed, NOW_MS)
            self.author.clock.saw(signed.stamp)

    def write(self, pin: Pin) -> None:
        self.changed = self.records.merge(self.author.write(pin, NOW_MS), NOW_MS).changed_roots


def test_the_bin_counts_roots_and_pins_as_they_come_and_go() -> None:
    swarm = Swarm()
    first, second = (Pin(id=pin_id(flow, ROOT), flow=flow, root=ROOT) for flow in ("a", "b"))
    swarm.write(first)
    swarm.write(second)
    swarm.write(replace(first, trashed_ms=NOW_MS))
    bin = Bin(swarm.records)
    assert (bin.roots_count, bin.count_in("a"), bin.count_in("b")) == (0, 1, 0)
    swarm.write(replace(second, trashed_ms=NOW_MS))
    bin.changed(swarm.changed)
    assert (bin.roots_count, bin.count_in("b")) == (1, 1)
    assert {signed.record.flow for signed in bin.pins()} == {"a", "b"}
    swarm.write(first)
    bin.changed([*swarm.changed, OTHER])
    assert (bin.roots_count, bin.count_in("a"), bin.count_in("b")) == (0, 0, 1)
    swarm.write(second)
    bin.changed(swarm.changed)
    assert (bin.roots_count, bin.pins()) == (0, [])
