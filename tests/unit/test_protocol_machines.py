"""When to sync, holdings and membership, driven by hand on a clock of our own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.beat import Beat, HoldingsSummary, SignedBeat
from protocol.clock_check import judge_clock
from protocol.errors import Refused
from protocol.holdings import SNAPSHOT_AFTER_S, ElementSet, HoldingsBook
from protocol.holdings_messages import Change, Element, HoldingsDelta, sign_delta
from protocol.identity import KeyPair, PeerId
from protocol.limits import AHEAD_MS, HOLDINGS_PER_DELTA
from protocol.membership import Froze, Membership, Restated, Seen
from protocol.roles import Standing
from protocol.stamp import Stamp
from protocol.sync_trigger import SyncTrigger

FOUNDER, STEWARD, OTHER, THIRD = (KeyPair(bytes([n]) * 32) for n in range(1, 5))
T0 = 1_800_000_000_000


def test_when_a_sync_starts() -> None:
    trigger = SyncTrigger(after_s=60, every_s=10)
    everyone = frozenset({"a", "b"})
    trigger.on_beat("a", b"x", b"y", 0)
    trigger.on_beat("b", b"y", b"y", 0)
    assert trigger.candidates(everyone, 5) == ()
    trigger.on_beat("a", b"x2", b"y", 5)
    assert trigger.candidates(everyone, 59) == ()
    assert trigger.candidates(everyone, 60) == ("a",)
    trigger.on_beat("a", b"x2", b"y", 10)
    assert trigger.candidates(everyone, 10) == ("a",)
    assert trigger.candidates(frozenset({"b"}), 10) == ()
    trigger.started(10)
    assert trigger.candidates(everyone, 19) == ()
    assert trigger.candidates(everyone, 20) == ("a",)
    trigger.finished("a")
    assert trigger.candidates(everyone, 30) == ()
    trigger.ask_anyone()
    assert trigger.candidates(everyone, 30) == ("a", "b")


# -- holdings -------------------------------------------------------------------------------------------------------


def element(n: int) -> Element:
    return Element(b"\x01\x55\x12\x20" + n.to_bytes(32, "big"), "ipfs")


OWNER = PeerId("owner")


class Owner:
    """Writes its own set, a `seq` a change, and tells it in deltas."""

    def __init__(self) -> None:
        self.held, self.seq, self.untold = ElementSet(), 0, list[Change]()

    def flip(self, n: int) -> None:
        change = Change(*element(n), held=element(n) not in self.held.elements)
        self.held.apply(change)
        self.seq += 1
        self.untold.append(change)

    @property
    def summary(self) -> HoldingsSummary:
        return self.held.summary(1, self.seq)

    def tell(self) -> HoldingsDelta:
        changes, self.untold = tuple(self.untold), []
        return HoldingsDelta(after=self.summary, changes=changes)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 5), max_size=30), st.data())
def test_holdings_follow_their_owner_whatever_gossip_does(steps: list[int], data: st.DataObject) -> None:
    own, book, deltas = Owner(), HoldingsBook(), []
    for n in steps:
        own.flip(n)
        if data.draw(st.booleans()):
            deltas.append(own.tell())
    deltas.append(own.tell())
    for delta in data.draw(st.permutations(deltas + deltas[:2])):
        if data.draw(st.integers(0, 3)):
            book.on_delta(OWNER, delta, 0)
    book.on_summary(OWNER, own.summary, 0)
    if book.lagging(SNAPSHOT_AFTER_S):
        book.on_snapshot(OWNER, own.summary, own.held.elements, 10)
    assert book.of(OWNER).held.elements == own.held.elements
    assert not book.of(OWNER).cloned
    assert book.lagging(1000) == ()
    for n in range(6):
        assert (OWNER in book.holders(*element(n))) == (element(n) in own.held.elements)
    assert set(book.elements()) == own.held.elements


def test_the_largest_delta_fits_a_statement() -> None:
    changes = tuple(Change(n.to_bytes(128, "big"), "k" * 16, True) for n in range(HOLDINGS_PER_DELTA))
    held = ElementSet(Element(change.root, change.kind) for change in changes)
    delta = HoldingsDelta(after=held.summary(2**53 - 1, 2**53 - 1), changes=changes)
    assert sign_delta(delta, FOUNDER)


def test_a_set_that_its_owner_did_not_sign_does_not_count() -> None:
    book = HoldingsBook()
    summary = ElementSet([element(1)]).summary(2, 7)
    book.on_summary(OWNER, summary, 0)
    assert book.lagging(SNAPSHOT_AFTER_S - 0.1) == ()
    assert book.lagging(SNAPSHOT_AFTER_S) == (OWNER,)
    for wrong in ([], [element(2)], [element(1), element(2)]):
        with pytest.raises(Refused):
            book.on_snapshot(OWNER, summary, wrong, 5)
    assert book.holders(*element(2)) == frozenset()
    assert book.on_snapshot(OWNER, summary, [element(1)], 5) == {element(1).root}
    with pytest.raises(Refused):
        book.on_snapshot(OWNER, ElementSet().summary(1, 99), [], 5)
    assert book.holders(*element(1)) == {OWNER}


def test_a_delta_that_does_not_lead_to_its_digest_changes_nothing() -> None:
    own, book = Owner(), HoldingsBook()
    own.flip(1)
    delta = own.tell()
    lie = type(delta)(after=delta.after, changes=(Change(*element(2), True),))
    assert book.on_delta(OWNER, lie, 0) == frozenset()
    assert book.holders(*element(2)) == frozenset()
    assert book.lagging(SNAPSHOT_AFTER_S) == (OWNER,)


def test_a_copied_identity_shows_until_a_higher_epoch() -> None:
    book = HoldingsBook()
    held, other = ElementSet([element(1)]), ElementSet([element(2)])
    book.on_summary(OWNER, held.summary(1, 5), 0)
    book.on_snapshot(OWNER, held.summary(1, 5), held.elements, 0)
    assert book.on_summary(OWNER, other.summary(1, 5), 0) == {element(1).root}
    assert book.of(OWNER).cloned
    book.on_summary(OWNER, held.summary(1, 6), 0)
    assert book.of(OWNER).cloned
    assert book.on_summary(OWNER, held.summary(2, 0), 0) == {element(1).root}
    assert not book.of(OWNER).cloned


# -- membership -----------------------------------------------------------------------------------------------------

MEMBER = Standing(roles=("keeper",), since=Stamp(1, 0), left=False, expelled=False)
ME, A, B = FOUNDER.peer_id, OTHER.peer_id, THIRD.peer_id


def beat(peer: PeerId, seq: int, incarnation: int = 1, **fields: object) -> SignedBeat:
    values: dict[str, object] = {
        "clock_ms": T0,
        "name": "n",
        "capacity_bytes": 1,
        "used_bytes": 0,
        "records_digest": bytes(32),
        "holdings": HoldingsSummary(epoch=1, seq=0, count=0, digest=bytes(32)),
        "version": "1",
        **fields,
    }
    return SignedBeat(beat=Beat(incarnation=incarnation, seq=seq, **values), sender=peer, raw=b"")  # type: ignore[arg-type]


def watch(*peers: PeerId) -> Membership:
    members = Membership(ME, 0.0)
    members.set_standings(dict.fromkeys((ME, *peers), MEMBER), 0.0)
    return members


def run(members: Membership, start_s: int, end_s: int, **beating: int) -> list[object]:
    """Tick every second and let peers beat every five; return what happened."""
    events: list[object] = []
    for now_s in range(start_s, end_s):
        events += [(now_s, event) for event in members.tick(float(now_s))]
        for peer, since in beating.items():
            if now_s % 5 == 0:
                signed = beat(PeerId(peer), now_s - since + 1)
                events += [(now_s, event) for event in members.on_beat(signed, float(now_s), T0)]
    return events


def states(events: list[object]) -> list[tuple[int, str]]:
    return [(now_s, event.sees) for now_s, event in events if isinstance(event, Seen)]  # type: ignore[misc]


def test_silence_makes_suspect_then_down_and_a_beat_makes_alive() -> None:
    members = watch(A)
    assert states(run(members, 0, 21, **{A: 0})) == [(0, "alive")]
    assert states(run(members, 21, 400)) == [(35, "suspect"), (320, "down")]
    assert states(run(members, 400, 402, **{A: 0})) == [(400, "alive")]


def test_a_beat_that_is_not_new_does_not_count() -> None:
    members = watch(A)
    assert members.on_beat(beat(A, 5, incarnation=2), 1, T0)
    for stale in (beat(A, 5, incarnation=2), beat(A, 4, incarnation=2), beat(A, 99, incarnation=1), beat(B, 1)):
        assert not members.is_new(stale)
        assert members.on_beat(stale, 2, T0) == ()
    assert members.get(A).heard_s == 1  # type: ignore[union-attr]
    again = Membership(ME, 0.0, heard=members.orders())
    again.set_standings({A: MEMBER}, 0.0)
    assert not again.is_new(beat(A, 5, incarnation=2))
    assert again.is_new(beat(A, 0, incarnation=3))


def test_our_own_freeze_is_nobodys_silence() -> None:
    members = watch(A)
    run(members, 0, 21, **{A: 0})
    assert members.may_plan(20)
    events = members.tick(500.0)
    assert events == (Froze(stood_s=480.0),)
    assert not members.may_plan(514.0)
    assert members.may_plan(515.0)
    assert states(run(members, 501, 520)) == [(515, "suspect")]


def test_a_peer_that_is_away_is_not_down_before_it_said() -> None:
    members = watch(A)
    members.tick(0)
    members.on_beat(beat(A, 1, state="away", away_until_ms=T0 + 600_000), 0, T0)
    run(members, 1, 599)
    assert members.get(A).state(599) == "away"  # type: ignore[union-attr]
    assert members.get(A).sees == "suspect"  # type: ignore[union-attr]
    assert states(run(members, 599, 1000)) == [(900, "down")]


def test_what_was_said_before_our_start_holds_on_and_makes_nobody_alive() -> None:
    members = watch(A, B)
    assert Restated(peer=A) in members.recall(
        beat(A, 7, state="away", away_until_ms=T0 + 600_000), 100.0, 0.0, was_down=False
    )
    assert members.recall(beat(B, 7, zone="z"), 100.0, 0.0, was_down=False)
    a, b = members.get(A), members.get(B)
    assert a is not None
    assert b is not None
    assert b.beat is not None
    assert (a.state(1), b.state(1), b.beat.zone, b.silent_before_s) == ("away", "suspect", "z", 100.0)
    assert not members.is_new(beat(A, 7))
    assert states(run(members, 0, 1000)) == [(300, "down"), (800, "down")]  # 500 s were left of the absence
    assert states(run(members, 1000, 1001, **{A: 900})) == [(1000, "alive")]
    assert a.silent_before_s == 0.0
    assert members.recall(beat(A, 7, state="away", away_until_ms=T0 + 600_000), 0.0, 1001.0, was_down=False) == ()


def test_who_was_down_before_our_start_is_down_until_it_is_heard() -> None:
    members = watch(A)
    events = members.recall(beat(A, 7, state="away", away_until_ms=T0 + 600_000), 500.0, 0.0, was_down=True)
    a = members.get(A)
    assert a is not None
    assert states([(0, event) for event in events]) == [(0, "down")]
    assert a.silent_s(0) + a.silent_before_s == 500
    assert states(run(members, 0, 10)) == []
    assert states(run(members, 10, 11, **{A: 0})) == [(10, "alive")]


def test_a_member_is_awaited_until_its_silence_says_something() -> None:
    members = watch(A, B)
    members.recall(beat(B, 7), 500.0, 0.0, was_down=True)
    run(members, 0, 14)
    assert members.is_awaited(A, 14)
    assert not members.is_awaited(B, 14), "it was down when we last listened"
    assert not members.is_awaited("nobody", 14)
    run(members, 14, 15)
    assert not members.is_awaited(A, 15)
    run(members, 15, 40, **{A: 16})
    assert not members.is_awaited(A, 40), "heard, and silent since"


def test_what_is_older_than_a_peers_last_start_is_not_recalled() -> None:
    members = Membership(ME, 0.0, heard={A: (3, 1)})
    members.set_standings({A: MEMBER}, 0.0)
    assert members.recall(beat(A, 99, incarnation=2), 1.0, 0.0, was_down=False) == ()
    assert members.recall(beat(B, 1), 1.0, 0.0, was_down=False) == ()
    assert members.recall(beat(A, 9, incarnation=3), 1.0, 0.0, was_down=False)
    assert not members.is_new(beat(A, 9, incarnation=3))
    assert members.is_new(beat(A, 10, incarnation=3))


def test_an_absence_that_is_over_is_not_recalled_and_a_day_of_recovering_goes_on() -> None:
    members = watch(A, B)
    members.recall(beat(A, 1, state="away", away_until_ms=T0 + 600_000), 700.0, 0.0, was_down=False)
    members.recall(beat(B, 1, state="recovering", holdings=None), 24 * 3600.0 - 10, 0.0, was_down=False)
    a, b = members.get(A), members.get(B)
    assert a is not None
    assert b is not None
    assert (a.state(1), b.state(1), b.state(11)) == ("suspect", "recovering", "down")


def test_own_words_show_and_recovering_lasts_a_day() -> None:
    members = watch(A, B)
    members.on_beat(beat(A, 1, state="draining"), 0, T0)
    members.on_beat(beat(B, 1, state="recovering", holdings=None), 0, T0)
    a, b = members.get(A), members.get(B)
    assert a is not None
    assert b is not None
    assert (a.state(1), b.state(1)) == ("draining", "recovering")
    assert b.state(24 * 3600.0) == "down"
    members.on_beat(beat(B, 2), 1, T0)
    assert b.state(24 * 3600.0) == "alive"


def test_those_who_leave_and_those_expelled() -> None:
    members = watch(A, B)
    members.on_beat(beat(A, 1), 0, T0)
    left = Standing(roles=("keeper",), since=Stamp(1, 0), left=True, expelled=False)
    expelled = Standing(roles=(), since=Stamp(1, 0), left=False, expelled=True)
    events = members.set_standings({ME: MEMBER, A: left, B: expelled}, 1)
    assert [(e.peer, e.sees) for e in events if isinstance(e, Seen)] == [(A, "left"), (B, "expelled")]
    assert not members.is_new(beat(A, 2))
    assert members.set_standings({ME: MEMBER}, 2) == ()
    assert members.get(A) is None


def test_large_swarms_beat_less_often_and_wait_longer() -> None:
    members = Membership(ME, 0.0)
    assert (members.beat_interval_s, members.suspect_after_s) == (5.0, 15.0)
    members.set_standings({PeerId(f"peer {n}"): MEMBER for n in range(199)}, 0.0)
    assert (members.beat_interval_s, members.suspect_after_s) == (10.0, 30.0)


def test_news_of_a_peer_is_told_once() -> None:
    members = watch(A)
    assert Restated(peer=A) in members.on_beat(beat(A, 1), 0, T0)
    assert members.on_beat(beat(A, 2, used_bytes=7, clock_ms=T0 + 9), 1, T0) == ()
    assert members.on_beat(beat(A, 3, zone="berlin"), 2, T0) == (Restated(peer=A),)


def test_a_wrong_clock_is_told_by_the_others() -> None:
    day = 86_400_000
    assert judge_clock([]).ahead_ms is None
    assert not judge_clock([AHEAD_MS, -AHEAD_MS, 0]).wrong
    assert judge_clock([-day, -day + 5]).wrong
    assert judge_clock([-day, -day, 3]).ahead_ms == day
    assert not judge_clock([-day, 5]).wrong
    only = judge_clock([day])
    assert (only.wrong, only.doubtful, only.ahead_ms) == (False, True, -day)
    members = watch(A, B)
    for peer in (A, B):
        members.on_beat(beat(peer, 1, clock_ms=T0 + day), 0, T0)
    assert members.clock().wrong
    assert members.swarm_ms(T0) == T0 + day
    assert members.span_ms(T0) == (T0, T0 + day)


def test_by_one_other_clock_it_may_be_either() -> None:
    members, day = watch(A), 86_400_000
    assert members.span_ms(T0) == (T0, T0)
    members.on_beat(beat(A, 1, clock_ms=T0 - day), 0, T0)
    assert members.swarm_ms(T0) == T0
    assert members.span_ms(T0) == (T0 - day, T0)
