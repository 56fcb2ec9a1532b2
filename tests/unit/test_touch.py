"""Peers that are away for weeks: what was deleted and forgotten stays away, and nothing that was not deleted is lost.

A small swarm of record sets, days as its clock: every round some peers are cut off or apart from the others, pins are
added and deleted, and who is together tells the others, catches up, and comes home as `node.swarm.homecoming` does.
"""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol.author import Author
from protocol.founding import found_swarm
from protocol.identity import KeyPair
from protocol.limits import MS_PER_DAY
from protocol.places import END, START
from protocol.records import CURATOR, KEEPER, Admission, Flow, Pin, Record, Signed, sign_record
from protocol.recordset import RecordSet
from protocol.stamp import ZERO, Stamp
from protocol.touch import (
    MISSED_MS,
    PATIENCE_S,
    Agreement,
    CompareWith,
    GoOn,
    SortOut,
    Touch,
    next_step,
    renewed,
    sort_out,
)

T0 = 1_800_000_000_000 // MS_PER_DAY * MS_PER_DAY
KEYS = [KeyPair(bytes([n]) * 32) for n in range(1, 6)]
STEWARD = KeyPair(bytes([101]) * 32)
FOUNDING = found_swarm(KEYS[0].peer_id, STEWARD, KeyPair(bytes([102]) * 32).peer_id, name="test", now_ms=T0)


def pin(number: int) -> Pin:
    return Pin(id=number.to_bytes(16, "big"), flow="f", root=b"\x01\x55\x12\x20" + number.to_bytes(32, "big"))


def counting(records: RecordSet) -> list[Signed[Record]]:
    return list(records.tally.between(START, END))


class Peer:
    """What one peer has; it lives through the rounds."""

    def __init__(self, key: KeyPair, first: Iterable[Signed[Record]], now_ms: int) -> None:
        self.author = Author(key)
        self.steward = Author(STEWARD, self.author.clock)  # whoever is asked to delete has a steward at hand
        self.records = RecordSet(FOUNDING.swarm)
        self.agreement = Agreement(key.peer_id, Touch(now_ms))
        self.aside: dict[int, bool] = {}
        self.lacking: dict[str, list[Signed[Record]]] = {}
        self.is_unsynced = False
        self.were_unsynced: set[str] = set()
        for signed in first:
            self.take([signed], now_ms, own=True)

    @property
    def name(self) -> str:
        return self.author.peer_id

    @property
    def pins(self) -> set[int]:
        return {int.from_bytes(s.record.id, "big") for s in counting(self.records) if self._lives(s)}

    def _lives(self, signed: Signed[Record]) -> bool:
        return isinstance(signed.record, Pin) and not signed.record.deleted

    def take(self, records: Iterable[Signed[Record]], now_ms: int, *, own: bool = False) -> None:
        before = set(self.records)
        self.records.merge_all(list(records), now_ms)
        if new := set(self.records) - before:
            self.author.clock.saw(max(signed.stamp for signed in new))
            if not own:
                self.agreement.learned(min(signed.stamp for signed in new), now_ms)

    def add(self, number: int, now_ms: int) -> Signed[Record]:
        return self._wrote(self.author.write(pin(number), now_ms), now_ms)

    def delete(self, number: int, now_ms: int) -> Signed[Record]:
        return self._wrote(self.steward.write(replace(pin(number), deleted=True), now_ms), now_ms)

    def _wrote(self, signed: Signed[Record], now_ms: int) -> Signed[Record]:
        self.take([signed], now_ms, own=True)
        return signed

    def look(self, now_ms: int) -> None:
        members = self.records.members()
        self.is_unsynced = self.agreement.look(members, now_ms, self.author.clock.last).unsynced(now_ms)
        if not self.is_unsynced:
            self.lacking.clear()
            self.were_unsynced.clear()

    def step(self, together: list["Peer"], now_ms: int, waited_s: float) -> None:
        """One step of coming home."""
        others = {peer.name: peer for peer in together if peer is not self}
        agreed_with = self.agreement.touch.agreed_with
        knew = set(agreed_with) - {self.name} if agreed_with else None
        step = next_step(self.records.members(), others, self.were_unsynced, self.lacking, waited_s, knew)
        if isinstance(step, CompareWith):
            theirs = set(counting(others[step.peer].records))
            self.take(theirs, now_ms)
            self.lacking[step.peer] = [signed for signed in counting(self.records) if signed not in theirs]
        elif isinstance(step, SortOut):
            self._sort_out(step.records, now_ms)
        if isinstance(step, SortOut | GoOn):
            self.agreement.resume(now_ms)
            self.look(now_ms)

    def _sort_out(self, lacking: Iterable[Signed[Record]], now_ms: int) -> None:
        still = [signed for signed in lacking if self.records.get(signed.key) == signed]
        found = sort_out(still, {self.name, self.steward.peer_id}, self.agreement.touch, now_ms)
        for signed in found.renew:
            author = self.author if signed.author == self.name else self.steward
            self._wrote(author.write(renewed(signed.record, now_ms), now_ms), now_ms)  # type: ignore[type-var]
        for aside in found.aside:
            assert isinstance(aside.signed.record, Pin)
            self.aside[int.from_bytes(aside.signed.record.id, "big")] = aside.deleted
        self.records.set_aside(aside.signed for aside in found.aside)


class World:
    """Peers, a clock, and what really happened."""

    def __init__(self, count: int) -> None:
        self.now_ms = T0
        admissions = [
            sign_record(Admission(peer=key.peer_id, roles=(CURATOR, KEEPER), stamp=Stamp(T0 + n, 9)), STEWARD)
            for n, key in enumerate(KEYS[1:count])
        ]
        self.peers = [Peer(key, (*FOUNDING.records, *admissions), T0) for key in KEYS[:count]]
        self.added: dict[int, Peer] = {}
        self.deleted: set[int] = set()

    def pass_days(self, days: int) -> None:
        self.now_ms += days * MS_PER_DAY
        for peer in self.peers:
            peer.records.due(self.now_ms)

    def add(self, peer: Peer, together: list[Peer]) -> int:
        number = len(self.added) + 1
        self.added[number] = peer
        self._tell(peer.add(number, self.now_ms), together)
        return number

    def delete(self, peer: Peer, number: int, together: list[Peer]) -> None:
        self.deleted.add(number)
        self._tell(peer.delete(number, self.now_ms), together)

    def _tell(self, signed: Signed[Record], together: list[Peer]) -> None:
        for peer in together:
            peer.take([signed], self.now_ms)

    def settle(self, together: list[Peer], *, waited_s: float = 0.0) -> None:
        """Those who are together do what there is to do, until nothing changes any more."""
        for _ in range(4 * len(self.peers)):
            self.now_ms += 1000
            for peer in together:
                peer.look(self.now_ms)
            unsynced = {peer.name for peer in together if peer.is_unsynced}
            for peer in together:
                peer.were_unsynced |= unsynced - {peer.name}
            for peer in together:
                if peer.is_unsynced:
                    peer.step(together, self.now_ms, waited_s)
            for peer in together:
                for other in together:
                    if not other.is_unsynced and peer.records.digest != other.records.digest:
                        peer.take(counting(other.records), self.now_ms)
            for peer in together:
                for other in together:
                    if other is not peer and other.records.digest == peer.records.digest:
                        peer.agreement.agrees(other.name, self.now_ms, peer.author.clock.last)
            if len({peer.records.digest for peer in together}) == 1 and not any(peer.is_unsynced for peer in together):
                break
        for peer in together:
            peer.look(self.now_ms)


ROUND = st.tuples(
    st.sampled_from([1, 7, 15, 28, 29, 30, 31, 45, 70]),
    st.lists(st.integers(0, 4), min_size=5, max_size=5),  # of each peer, which group it is in
    st.lists(st.tuples(st.sampled_from(["add", "delete"]), st.integers(0, 4), st.integers(0, 20)), max_size=5),
    st.booleans(),  # whether they are together for longer than they would wait
)


def run(count: int, rounds: list[tuple[int, list[int], list[tuple[str, int, int]], bool]]) -> World:
    world = World(count)
    for days, groups, deeds, long in rounds:
        world.pass_days(days)
        together = [
            [peer for peer, at in zip(world.peers, groups, strict=False) if at == group]
            for group in sorted(set(groups))
        ]
        of = {peer.name: group for group in together for peer in group}
        for group in together:
            world.settle(group, waited_s=PATIENCE_S if long else 0.0)
        for what, who, which in deeds:
            peer = world.peers[who % count]
            if what == "add":
                world.add(peer, of[peer.name])
            elif pins := sorted(peer.pins):
                world.delete(peer, pins[which % len(pins)], of[peer.name])
        for group in together:
            world.settle(group, waited_s=PATIENCE_S if long else 0.0)
        assert_nothing_is_lost(world)
    return world


def assert_nothing_is_lost(world: World) -> None:
    for number in world.added.keys() - world.deleted:
        assert any(number in peer.pins or number in peer.aside for peer in world.peers)
    for peer in world.peers:
        assert {number for number, deleted in peer.aside.items() if deleted} <= world.deleted


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.lists(ROUND, max_size=8))
def test_nothing_is_lost_whoever_was_away_or_apart(
    count: int, rounds: list[tuple[int, list[int], list[tuple[str, int, int]], bool]]
) -> None:
    """What is not deleted counts somewhere or lies aside, and nothing lies aside as deleted that was not deleted."""
    world = run(count, rounds)
    everyone = world.peers
    world.settle(everyone, waited_s=PATIENCE_S)
    assert len({peer.records.digest for peer in everyone}) == 1, "all agree in the end"
    assert not any(peer.is_unsynced for peer in everyone)


CORE_ROUND = st.tuples(
    st.sampled_from([1, 7, 14, 28, 29, 31, 45, 70]),
    st.sets(st.integers(0, 4), max_size=2),
    st.booleans(),  # whether those who are away are so together
    st.lists(st.tuples(st.sampled_from(["add", "delete"]), st.integers(0, 4), st.integers(0, 20)), max_size=5),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CORE_ROUND, max_size=8))
@example([(1, set(), False, [("add", 0, 0)]), (1, {3, 4}, True, [("delete", 0, 0)]), (70, set(), False, [])])
def test_with_a_majority_in_touch_the_deleted_stays_away_and_all_else_stays(
    rounds: list[tuple[int, set[int], bool, list[tuple[str, int, int]]]],
) -> None:
    """At most two of five are away at a time. What the others deleted never counts again; what they know always does."""
    world = World(5)
    world.settle(world.peers)
    gone: set[int] = set()
    for days, away, in_company, deeds in rounds:
        # Nobody is apart for long before the others are all together again.
        world.settle(world.peers)
        core = [peer for n, peer in enumerate(world.peers) if n not in away]
        absent = [peer for n, peer in enumerate(world.peers) if n in away]
        groups = [core, *([absent] if in_company else [[peer] for peer in absent])]
        of = {peer.name: group for group in groups for peer in group}
        for what, who, which in deeds:
            peer = world.peers[who]
            if what == "add":
                world.add(peer, of[peer.name])
            elif (pins := sorted(peer.pins)) and of[peer.name] is core:
                number = pins[which % len(pins)]
                gone.add(number)
                world.delete(peer, number, core)
        for part in range(0, days, 20):  # those who stay hear one another all the time
            world.pass_days(min(20, days - part))
            for group in groups:
                world.settle(group)
        known = core[0].pins
        world.settle(world.peers)
        assert len({peer.records.digest for peer in world.peers}) == 1
        assert not world.peers[0].pins & gone
        assert world.peers[0].pins >= known
        assert world.added.keys() - gone <= world.peers[0].pins | {n for peer in world.peers for n in peer.aside}
        assert_nothing_is_lost(world)


def away(days: int, count: int = 3) -> tuple[World, Peer, list[Peer]]:
    """One peer is cut off for so long, and the others stay together; 1 is an old pin of all, 2 is deleted meanwhile."""
    world = World(count)
    absent, *core = world.peers
    world.add(core[0], world.peers)
    world.add(absent, world.peers)
    world.settle(world.peers)
    world.delete(core[0], 2, core)
    for _ in range(days // 10):
        world.pass_days(10)
        world.settle(core)
    return world, absent, core


def test_what_was_deleted_and_forgotten_is_put_aside_even_by_its_author() -> None:
    world, absent, core = away(40)
    assert absent.pins == {1, 2}
    world.settle(world.peers)
    assert absent.pins == core[0].pins == {1}
    assert absent.aside == {2: True}


def test_without_it_what_was_deleted_comes_back() -> None:
    world, absent, core = away(40)
    core[0].take(counting(absent.records), world.now_ms)
    assert core[0].pins == {1, 2}


def test_what_it_wrote_alone_is_signed_anew_and_counts() -> None:
    world, absent, core = away(0)
    world.add(absent, [absent])
    for _ in range(4):
        world.pass_days(10)
        world.settle(core)
    world.settle(world.peers)
    assert core[0].pins == absent.pins == {1, 3}
    [found] = [s for s in counting(absent.records) if isinstance(s.record, Pin) and s.record.id == pin(3).id]
    assert found.stamp.ms > world.now_ms - MS_PER_DAY


def test_what_another_absent_peer_wrote_and_nobody_knows_is_put_aside_for_good() -> None:
    world = World(5)
    first, second, *core = world.peers
    world.settle(world.peers)
    world.add(first, [first, second])
    for _ in range(4):
        world.pass_days(10)
        world.settle(core)
    world.settle([second, *core])
    assert second.aside == {1: False}
    world.settle(world.peers)  # its author is there again
    assert all(1 in peer.pins for peer in world.peers)


def test_of_two_that_were_away_neither_waits_for_the_other() -> None:
    world = World(3)
    first, second, _ = world.peers
    world.settle(world.peers)
    world.add(first, [first])
    world.add(second, [second])
    world.pass_days(40)
    world.settle([first, second])
    assert first.pins == second.pins == {1, 2}
    assert not first.is_unsynced
    assert not second.is_unsynced


def test_a_clock_that_ran_ahead_does_not_keep_a_peer_in_touch() -> None:
    agreement = Agreement("me", Touch(T0 + 400 * MS_PER_DAY, T0 + 400 * MS_PER_DAY))
    assert agreement.look(["me", "other"], T0, ZERO).at_ms == T0
    assert agreement.look(["me", "other"], T0 + MISSED_MS, ZERO).unsynced(T0 + MISSED_MS)


def test_a_clock_that_starts_in_another_year_does_not_put_a_peer_out_of_touch() -> None:
    agreement = Agreement("me", Touch(T0))
    long_ago_ms = T0 - 400 * MS_PER_DAY
    assert not agreement.look(["me", "other"], long_ago_ms, ZERO, is_sure=False).unsynced(long_ago_ms)
    assert not agreement.look(["me", "other"], T0 + 1, ZERO).unsynced(T0 + 1), "the network has set it"


def test_only_pins_and_flows_are_sorted_out_and_only_old_ones() -> None:
    now_ms = T0 + 100 * MS_PER_DAY
    touch = Touch(T0, T0)
    old, new = Stamp(T0 - 1, 0), Stamp(now_ms - MISSED_MS + 1, 0)
    other = KEYS[1]
    records = [
        sign_record(Admission(peer=KEYS[2].peer_id, roles=(KEEPER,), stamp=old), other),
        sign_record(replace(pin(1), stamp=new), other),
        sign_record(replace(pin(2), deleted=True, stamp=old), other),
        sign_record(replace(pin(3), stamp=old), other),
        sign_record(Flow(name="f", stamp=old), other),
    ]
    found = sort_out(records, {KEYS[0].peer_id}, touch, now_ms)
    assert [aside.signed for aside in found.aside] == records[3:]
    assert all(aside.deleted for aside in found.aside)
    assert found.renew == ()


def test_what_was_trashed_unseen_is_in_the_trash_for_its_full_time() -> None:
    record = renewed(replace(pin(1), trashed_ms=T0), T0 + 50 * MS_PER_DAY)
    assert isinstance(record, Pin)
    assert record.trashed_ms == T0 + 50 * MS_PER_DAY


def test_touch_is_kept_as_it_was() -> None:
    touch = Touch(T0 + 4, T0 + 3, Stamp(T0, 7), T0 + 1, ("me", "another"))
    assert Touch.from_bytes(touch.to_bytes()) == touch
