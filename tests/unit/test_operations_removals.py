"""Removing in bulk needs a steward, and the trash counts itself."""

from dataclasses import replace
from types import SimpleNamespace

from node.events import Events, wall_ms
from node.operations.bin import Bin, Moves
from node.operations.removing import NEWS_MS, WINDOW_S, RemovalWindow, Removing
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


def test_the_bin_tells_what_came_into_it_and_what_came_out() -> None:
    swarm = Swarm()
    first, second = (Pin(id=pin_id(flow, ROOT), flow=flow, root=ROOT) for flow in ("a", "b"))
    swarm.write(first)
    swarm.write(second)
    bin = Bin(swarm.records)

    def moved() -> tuple[list[str], list[str]]:
        moves = bin.changed(swarm.changed)
        return [pin.record.flow for pin in moves.trashed], [pin.record.flow for pin in moves.undeleted]

    swarm.write(replace(first, trashed_ms=NOW_MS))
    assert moved() == (["a"], [])
    assert moved() == ([], []), "it is there already"
    swarm.write(first)
    assert moved() == ([], ["a"])


def test_what_others_have_just_trashed_is_news_and_what_this_peer_or_anybody_long_ago_trashed_is_none() -> None:
    me, steward, other = (KeyPair(bytes([n]) * 32) for n in (1, 2, 3))
    events = Events()
    records = SimpleNamespace(author=Author(me), steward_key=Author(steward), counting=Swarm().records)
    removing = Removing(SimpleNamespace(records=records, events=events), Bin(records.counting))  # type: ignore[arg-type]
    now_ms = wall_ms()
    pin = Pin(id=pin_id("a", ROOT), flow="a", root=ROOT, name="p.jpg", trashed_ms=now_ms)
    for key in (me, steward, other):
        removing.tell_of_others(Moves((Author(key).write(pin, now_ms),), ()))
    assert events.counts == {"trashed": 1}
    removing.tell_of_others(Moves((Author(other).write(pin, now_ms - NEWS_MS),), ()))
    assert events.counts == {"trashed": 1}
    removing.tell_of_others(Moves((), (Author(other).write(replace(pin, trashed_ms=None), now_ms),)))
    assert events.counts == {"trashed": 1, "undeleted": 1}
