"""Whom a session asks for what: complete, bounded, fair to the fast, forgiving of the absent."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.net.bitswap_asking import MAX_IN_FLIGHT, OWN_PAUSE_S, Ask, Asking

MIB = 1 << 20


def asking(window_bytes: int = 16 * MIB, stall_timeout_s: float = 20) -> Asking:
    return Asking(window_bytes=window_bytes, stall_timeout_s=stall_timeout_s)


def cid(number: int) -> bytes:
    return b"cid%05d" % number


@dataclass
class Holder:
    """A source in virtual time: answers one want after the other, or falls silent."""

    holds: set[bytes]
    seconds_a_block: float
    silent_from: int = 10**9
    queue: list[bytes] = field(default_factory=list)
    free_s: float = 0.0
    answered: int = 0


class Run:
    """Drives an `Asking` against holders until nothing moves any more."""

    def __init__(self, machine: Asking, holders: dict[str, Holder], size_bytes: int = MIB) -> None:
        self.machine, self.holders, self.size_bytes = machine, holders, size_bytes
        self.got: list[bytes] = []
        self.by: Counter[str] = Counter()
        self.now_s = 0.0
        self.most_in_flight = 0
        for peer in holders:
            machine.add_source(peer, 0.0)

    def send(self, asks: list[Ask]) -> None:
        for peer, cids, cancel in asks:
            queue = self.holders[peer].queue
            for one in cids:
                if cancel:
                    if one in queue:
                        queue.remove(one)
                else:
                    if one not in queue:
                        queue.append(one)

    def tick(self) -> None:
        self.send(self.machine.plan(self.now_s))
        self.most_in_flight = max(self.most_in_flight, sum(len(h.queue) for h in self.holders.values()))
        for peer, holder in self.holders.items():
            while holder.queue and holder.free_s <= self.now_s and holder.answered < holder.silent_from:
                one = holder.queue.pop(0)
                holder.answered += 1
                if one not in holder.holds:
                    self.machine.refuse(peer, [one], self.now_s)
                    continue
                holder.free_s = max(holder.free_s, self.now_s) + holder.seconds_a_block
                cancels = self.machine.receive(peer, one, self.size_bytes, self.now_s)
                if cancels is not None:
                    self.send(cancels)
                    self.got.append(one)
                    self.by[peer] += 1
                    self.machine.taken(self.size_bytes)
        self.now_s += 0.05

    def until_settled(self, most_s: float = 3600) -> None:
        while not self.machine.is_done and not self.machine.missing():
            assert self.now_s < most_s, "it neither ends nor fails"
            self.tick()


numbers = st.integers(0, 39)
holders = st.builds(
    Holder,
    holds=st.sets(numbers.map(cid)),
    seconds_a_block=st.sampled_from([0.0, 0.01, 0.3]),
    silent_from=st.sampled_from([0, 3, 10**9]),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), holders, max_size=5), st.sets(numbers.map(cid), min_size=1))
def test_all_that_an_answering_source_holds_comes_once_and_only_the_rest_is_missing(
    sources: dict[str, Holder], wanted: set[bytes]
) -> None:
    machine = asking(stall_timeout_s=3)
    machine.want(wanted)
    run = Run(machine, sources)
    run.until_settled()
    sure = set().union(*(h.holds for h in sources.values() if h.silent_from > 1000)) & wanted
    held = set().union(*(h.holds for h in sources.values())) & wanted
    assert len(run.got) == len(set(run.got))
    assert sure <= set(run.got) <= held
    assert set(machine.missing()) == wanted - set(run.got)
    if machine.missing():
        assert machine.reasons().keys() == sources.keys()


def test_a_source_four_times_as_fast_delivers_most() -> None:
    blocks = {cid(n) for n in range(400)}
    machine = asking()
    machine.want(blocks)
    run = Run(machine, {"slow": Holder(set(blocks), 0.4), "fast": Holder(set(blocks), 0.1)})
    run.until_settled()
    assert run.by["fast"] > 2.5 * run.by["slow"]
    assert run.now_s < 400 / (10 + 2.5) * 1.5


def test_the_end_does_not_wait_for_a_source_that_crawls() -> None:
    blocks = {cid(n) for n in range(20)}
    machine = asking()
    machine.want(blocks)
    run = Run(machine, {"crawls": Holder(set(blocks), 15.0), "fast": Holder(set(blocks), 0.01)})
    run.until_settled()
    assert run.now_s < 15


def test_the_window_bounds_what_is_asked_and_not_taken() -> None:
    machine = asking(window_bytes=8 * MIB)
    machine.want(cid(n) for n in range(100))
    machine.add_source("a", 0.0)
    [first] = machine.plan(0.0)
    assert len(first.cids) == 32, "blocks are taken for 256 KiB before one was seen"
    for one in first.cids:
        machine.receive("a", one, MIB, 1.0)
    assert machine.plan(1.0) == [], "all that came is still held"
    for _ in first.cids:
        machine.taken(MIB)
    assert [len(ask.cids) for ask in machine.plan(1.0)] == [8]


def test_tiny_blocks_do_not_open_the_window_without_bound() -> None:
    machine = asking(window_bytes=1 << 30)
    machine.want(cid(n) for n in range(5000))
    machine.add_source("a", 0.0)
    assert sum(len(ask.cids) for ask in machine.plan(0.0)) == MAX_IN_FLIGHT


def test_a_block_larger_than_the_window_still_comes() -> None:
    machine = asking(window_bytes=1000)
    machine.want([cid(1), cid(2)])
    run = Run(machine, {"a": Holder({cid(1), cid(2)}, 0.0)})
    run.until_settled()
    assert len(run.got) == 2
    assert run.most_in_flight == 1


def test_silence_drops_a_source_and_says_so() -> None:
    machine = asking(stall_timeout_s=5)
    machine.want([cid(1)])
    run = Run(machine, {"a": Holder({cid(1)}, 0.0, silent_from=0)})
    run.until_settled()
    assert machine.missing() == [cid(1)]
    assert machine.reasons() == {"a": "silent for 5 s"}
    assert 5 <= run.now_s < 6


def test_a_source_that_lost_a_want_is_asked_again() -> None:
    machine = asking(stall_timeout_s=10)
    machine.want([cid(1)])
    machine.add_source("a", 0.0)
    asks = [(tick, ask) for tick in range(10) for ask in machine.plan(float(tick))]
    assert asks == [(0, Ask("a", [cid(1)])), (6, Ask("a", [cid(1)]))]


def test_our_own_pause_is_nobody_elses_silence() -> None:
    machine = asking(stall_timeout_s=20)
    machine.want([cid(1)])
    machine.add_source("a", 0.0)
    machine.plan(0.0)
    machine.plan(OWN_PAUSE_S + 100)
    assert machine.sources == {"a"}


def test_a_late_source_is_asked_for_what_all_others_lack() -> None:
    machine = asking()
    machine.want([cid(1), cid(2)])
    run = Run(machine, {"a": Holder({cid(1)}, 0.0)})
    run.until_settled()
    assert machine.missing() == [cid(2)]
    assert machine.reasons() == {"a": "does not have 1 of them"}
    run.holders["b"] = Holder({cid(2)}, 0.0)
    machine.add_source("b", run.now_s)
    run.until_settled()
    assert machine.is_done


def test_what_a_lost_source_owed_is_asked_of_another_and_it_may_come_back() -> None:
    machine = asking()
    machine.want([cid(n) for n in range(4)])
    machine.add_source("a", 0.0)
    assert [ask.peer for ask in machine.plan(0.0)] == ["a"]
    machine.add_source("b", 0.0)
    machine.drop_source("a", "gone")
    assert machine.plan(0.0) == [Ask("b", [cid(n) for n in range(4)])]
    machine.refuse("b", [cid(0)], 0.0)
    machine.add_source("a", 1.0)
    assert machine.plan(1.0) == [Ask("a", [cid(0)])]
    assert machine.dropped == {}


def test_without_any_source_all_is_missing_at_once() -> None:
    machine = asking()
    machine.want([cid(1)])
    assert machine.plan(0.0) == []
    assert machine.missing() == [cid(1)]


@pytest.mark.parametrize("peer", ["a", "stranger"])
def test_a_block_counts_whoever_sends_it_and_is_taken_back_from_the_others(peer: str) -> None:
    machine = asking()
    machine.want([cid(1)])
    machine.add_source("a", 0.0)
    machine.plan(0.0)
    assert machine.receive(peer, cid(1), 5, 0.1) == ([] if peer == "a" else [Ask("a", [cid(1)], cancel=True)])
    assert machine.receive(peer, cid(1), 5, 0.1) is None
    assert machine.is_done
