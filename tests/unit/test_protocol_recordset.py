"""What counts depends on the set of records and the time alone, whatever the order; and the rules of DESIGN §5 and §6."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.author import Author
from protocol.changes import Status
from protocol.founding import found_swarm
from protocol.identity import KeyPair
from protocol.limits import AHEAD_MS, HELD_BACK_PER_AUTHOR, MS_PER_DAY
from protocol.places import END, START
from protocol.records import (
    CURATOR,
    GUEST,
    KEEPER,
    Admission,
    Charter,
    Departure,
    Expulsion,
    Flow,
    Pin,
    Record,
    Replicas,
    Signed,
    pin_id,
    sign_record,
)
from protocol.recordset import RECORDS_PER_UNKNOWN_AUTHOR, RecordSet
from protocol.stamp import Clock, Stamp

PEERS = [KeyPair(bytes([n]) * 32) for n in range(1, 6)]
STEWARD, RECOVERY, SECOND_STEWARD = (KeyPair(bytes([n]) * 32) for n in (101, 102, 103))
T0 = 1_800_000_000_000 // MS_PER_DAY * MS_PER_DAY
FOUNDING = found_swarm(PEERS[0].peer_id, STEWARD, RECOVERY.peer_id, name="test", now_ms=T0)
ROOTS = [b"\x01\x55\x12\x20" + bytes([n]) * 32 for n in range(8)]


def swarm(*records: Signed[Record], now_ms: int = T0 + 1000) -> RecordSet:
    found = RecordSet(FOUNDING.swarm)
    for signed in (*FOUNDING.records, *records):
        found.merge(signed, now_ms)
    found.due(now_ms)
    return found


def at(ms: int, record: Record, key: KeyPair) -> Signed[Record]:
    return sign_record(replace(record, stamp=Stamp(T0 + ms, 0)), key)


def pin(n: int = 0, **fields: object) -> Pin:
    root = ROOTS[n]
    return Pin(**{"id": pin_id("f", root), "flow": "f", "root": root, **fields})  # type: ignore[arg-type]


def admission(key: KeyPair, *roles: str) -> Admission:
    return Admission(peer=key.peer_id, roles=roles)


# -- the outcome depends on the set alone ---------------------------------------------------------------------------

AUTHORS = [*PEERS[:3], STEWARD, SECOND_STEWARD, RECOVERY]


@st.composite
def any_record(draw: st.DrawFn) -> Signed[Record]:
    author = draw(st.sampled_from(AUTHORS))
    ms = draw(st.integers(0, 40))
    peer = draw(st.sampled_from(PEERS[:3])).peer_id
    root = draw(st.integers(0, 1))
    record: Record = draw(
        st.one_of(
            st.builds(
                pin,
                st.just(root),
                trashed_ms=st.sampled_from([None, T0, T0 - 31 * MS_PER_DAY]),
                deleted=st.booleans(),
                expires_ms=st.sampled_from([None, T0 + 20, T0 + 10**9]),
            ),
            st.builds(Flow, name=st.just("f"), replicas=st.sampled_from([None, Replicas(1, 1)]), deleted=st.booleans()),
            st.builds(Admission, peer=st.just(peer), roles=st.sampled_from([(CURATOR, KEEPER), (KEEPER,), (CURATOR,)])),
            st.builds(Expulsion, peer=st.just(peer)),
            st.builds(Departure, back=st.booleans()),
            st.builds(
                Charter,
                number=st.just(2),
                previous=st.just((FOUNDING.swarm,)),
                name=st.sampled_from(["a", "b"]),
                stewards=st.sampled_from([(STEWARD.peer_id,), (STEWARD.peer_id, SECOND_STEWARD.peer_id), ()]),
                recovery=st.just(RECOVERY.peer_id),
                trash_days=st.sampled_from([30, 3]),
                append_only=st.booleans(),
            ),
        )
    )
    return at(ms, record, author)


def visible(records: RecordSet) -> tuple[object, ...]:
    """Return all that others may see of a record set."""
    return (
        records.digest,
        len(records),
        records.charter,
        records.forked,
        dict(records.standings()),
        {root: (frozenset(records.live_pins(root)), records.wanted(root)) for root in ROOTS},
        frozenset(records.roots()),
        dict(records.flows),
        frozenset(records.pins_by_flow("f")),
        frozenset(signed.raw for signed in records),
        [signed.raw for signed in records.tally.between(START, END)],
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(any_record(), max_size=12), st.data())
def test_order_and_repeats_do_not_matter(drawn: list[Signed[Record]], data: st.DataObject) -> None:
    everything = [*FOUNDING.records, *drawn]
    shuffled = data.draw(st.permutations(everything)) + data.draw(st.lists(st.sampled_from(everything), max_size=4))
    one, other = RecordSet(FOUNDING.swarm), RecordSet(FOUNDING.swarm)
    for signed in everything:
        one.merge(signed, T0 + 1000)
    other.due(T0 + 10)
    for number, signed in enumerate(shuffled):
        other.merge(signed, T0 + 1000)
        if number == 3:
            other.due(T0 + 15)
    one.due(T0 + 30)
    other.due(T0 + 30)
    assert visible(one) == visible(other)


@settings(max_examples=100, deadline=None)
@given(st.lists(any_record(), max_size=12))
def test_the_changes_tell_what_changed(drawn: list[Signed[Record]]) -> None:
    records = swarm()
    for signed in drawn:
        before = {root: records.wanted(root) for root in ROOTS}
        flows, standings, charter = dict(records.flows), dict(records.standings()), records.charter
        pins = {
            counted for counted in records if counted == records.get(counted.key) and isinstance(counted.record, Pin)
        }
        changes = records.merge(signed, T0 + 1000).changes
        assert {counted for counted in pins if records.get(counted.key) != counted} <= set(changes.replaced) <= pins
        assert {root for root in ROOTS if records.wanted(root) != before[root]} <= changes.roots or changes.charter
        assert {n for n in {*flows, *records.flows} if flows.get(n) != records.flows.get(n)} <= changes.flows
        assert changes.roles == (dict(records.standings()) != standings)
        assert changes.charter == (records.charter != charter)


@settings(max_examples=100, deadline=None)
@given(st.lists(any_record(), max_size=12), st.integers(0, 80))
def test_storage_follows_what_is_kept(drawn: list[Signed[Record]], days: int) -> None:
    records, disk = RecordSet(FOUNDING.swarm), {}
    for signed in (*FOUNDING.records, *drawn):
        changes = records.merge(signed, T0 + 1000).changes
        disk.update({stored.storage_key: stored for stored in changes.stored})
        for key in changes.forgotten:
            del disk[key]
    changes = records.due(T0 + days * MS_PER_DAY)
    for key in changes.forgotten:
        del disk[key]
    assert set(disk.values()) == set(records)
    some = list(disk)[::2]
    found = list(records.kept_as([*some, *changes.forgotten, b""]))
    assert len(found) == len(some)
    assert {signed.storage_key: signed for signed in found} == {key: disk[key] for key in some}
    again = RecordSet(FOUNDING.swarm)
    for signed in disk.values():
        again.merge(signed, T0 + 1000)
    again.due(T0 + days * MS_PER_DAY)
    assert visible(again) == visible(records)
    restored = RecordSet(FOUNDING.swarm)
    restored.restore(disk.values())
    restored.due(T0 + days * MS_PER_DAY)
    assert visible(restored) == visible(records)


# -- roles ------------------------------------------------------------------------------------------------------------


def test_a_new_swarm_has_one_member_and_its_steward() -> None:
    records = swarm()
    assert records.members() == (PEERS[0].peer_id,)
    assert records.role(PEERS[0].peer_id) == (CURATOR, KEEPER)
    assert records.is_steward(STEWARD.peer_id)
    assert not records.is_steward(PEERS[0].peer_id)
    assert records.charter is not None
    assert records.charter.replicas == (2, 3)


def test_records_count_once_their_author_is_admitted_whenever_they_came() -> None:
    early = at(1, pin(), PEERS[1])
    records = swarm()
    assert records.merge(early, T0).status is Status.KEPT
    assert records.wanted(ROOTS[0]) is None
    merged = records.merge(at(2, admission(PEERS[1], CURATOR), STEWARD), T0)
    assert merged.changed_roles
    assert merged.changed_roots == {ROOTS[0]}
    assert records.live_pins(ROOTS[0]) == (early,)


def test_an_expulsion_takes_the_authors_records_out_and_a_re_signed_one_stays() -> None:
    theirs = at(5, pin(), PEERS[1])
    records = swarm(at(2, admission(PEERS[1], CURATOR), STEWARD), theirs)
    copies = [sign_record(signed.record, STEWARD) for signed in records.records_by(PEERS[1].peer_id)]
    merged = records.merge(at(9, Expulsion(peer=PEERS[1].peer_id), STEWARD), T0)
    assert merged.changed_roots == {ROOTS[0]}
    assert records.wanted(ROOTS[0]) is None
    for copy in copies:
        assert copy.stamp == theirs.stamp
        records.merge(copy, T0)
    assert [signed.author for signed in records.live_pins(ROOTS[0])] == [STEWARD.peer_id]
    assert records.standing(PEERS[1].peer_id).expelled  # type: ignore[union-attr]
    assert not records.is_member(PEERS[1].peer_id)


def test_an_expelled_peer_comes_back_only_by_a_later_word() -> None:
    records = swarm(at(9, Expulsion(peer=PEERS[1].peer_id), STEWARD), at(8, admission(PEERS[1], KEEPER), STEWARD))
    assert not records.is_member(PEERS[1].peer_id)
    records.merge(at(10, admission(PEERS[1], KEEPER), STEWARD), T0)
    assert records.is_member(PEERS[1].peer_id)


def test_a_guest_and_a_stranger_pin_nothing() -> None:
    records = swarm(at(1, admission(PEERS[1], GUEST), STEWARD), at(2, admission(PEERS[2], KEEPER), STEWARD))
    for number, key in enumerate(PEERS[1:4]):
        assert records.merge(at(3, pin(number), key), T0).status is Status.KEPT
    assert list(records.roots()) == []
    assert records.members() == tuple(sorted((PEERS[0].peer_id, PEERS[2].peer_id)))


def test_someone_who_left_is_no_member_but_his_pins_stay() -> None:
    records = swarm(at(5, pin(), PEERS[0]))
    records.merge(at(6, Departure(), PEERS[0]), T0)
    assert records.members() == ()
    assert records.wanted(ROOTS[0]) is not None
    records.merge(at(7, Departure(back=True), PEERS[0]), T0)
    assert records.members() == (PEERS[0].peer_id,)


def test_only_a_steward_admits_and_expels() -> None:
    records = swarm(
        at(1, admission(PEERS[1], CURATOR, KEEPER), PEERS[0]), at(2, Expulsion(peer=PEERS[0].peer_id), PEERS[0])
    )
    assert records.members() == (PEERS[0].peer_id,)


def test_what_an_unknown_author_may_store_is_bounded() -> None:
    records, author = swarm(), Author(PEERS[1])
    statuses = [
        records.merge(author.write(pin(id=n.to_bytes(16, "big")), T0), T0).status
        for n in range(RECORDS_PER_UNKNOWN_AUTHOR + 5)
    ]
    assert statuses.count(Status.REFUSED) == 5


# -- pins, factors and their ends ---------------------------------------------------------------------------------------


def test_a_factor_is_the_largest_over_all_pins_within_the_bounds() -> None:
    records = swarm(
        at(1, Flow(name="f", replicas=Replicas(1, 4)), PEERS[0]),
        at(2, pin(), PEERS[0]),
        at(3, pin(id=bytes(16), replicas=Replicas(3, 3), backend="s3"), PEERS[0]),
        at(4, pin(1, flow="g"), PEERS[0]),
    )
    assert records.wanted(ROOTS[0]) == (3, 4, ("ipfs", "s3"))
    assert records.wanted(ROOTS[1]) == (2, 3, ("ipfs",))
    merged = records.merge(at(5, Flow(name="f", replicas=Replicas(1, 2)), PEERS[0]), T0)
    assert merged.changed_roots == {ROOTS[0]}
    assert records.wanted(ROOTS[0]) == (3, 3, ("ipfs", "s3"))
    bounded = Charter(
        number=2,
        previous=(FOUNDING.swarm,),
        name="test",
        stewards=(STEWARD.peer_id,),
        recovery=RECOVERY.peer_id,
        bounds=Replicas(2, 2),
    )
    assert records.merge(at(6, bounded, STEWARD), T0).changes.charter
    assert records.wanted(ROOTS[0]) == (2, 2, ("ipfs", "s3"))


def test_pins_are_found_by_everything() -> None:
    first = at(1, pin(name="a.jpg", original=ROOTS[5]), PEERS[0])
    second = at(2, pin(1, name="a.jpg", original=ROOTS[5]), PEERS[0])
    records = swarm(first, second)
    assert set(records.pins_by_name("f", "a.jpg")) == set(records.pins_by_original(ROOTS[5])) == {first, second}
    records.merge(at(3, pin(1, name="b.jpg", original=ROOTS[5]), PEERS[0]), T0)
    assert records.pins_by_name("f", "a.jpg") == (first,)
    assert records.pin_count == records.root_count == 2


def test_expired_and_long_trashed_pins_end_and_their_tombstones_leave() -> None:
    expires, trashed = T0 + 5000, T0 + 7000
    records = swarm(
        at(1, pin(0, expires_ms=expires), PEERS[0]),
        at(2, pin(1, trashed_ms=trashed), PEERS[0]),
        now_ms=T0 + 4000,
    )
    digest = records.digest
    assert records.next_due_ms() == expires
    assert records.due(expires - 1).roots == frozenset()
    assert records.due(expires).roots == {ROOTS[0]}
    assert records.wanted(ROOTS[0]) is None
    assert records.wanted(ROOTS[1]) is not None
    ends = trashed + 30 * MS_PER_DAY
    leaves = T0 + 30 * MS_PER_DAY
    assert records.due(leaves - 1).forgotten == ()
    assert records.digest == digest
    assert len(records.due(leaves).forgotten) == 1
    assert records.due(ends).roots == {ROOTS[1]}
    assert records.digest != digest
    assert len(records.due(T0 + 60 * MS_PER_DAY).forgotten) == 1
    assert len(records) == len(FOUNDING.records)


def test_an_old_tombstone_is_stale_and_takes_what_it_outlived_along() -> None:
    old, gone = at(1, pin(), PEERS[0]), at(2, pin(deleted=True), STEWARD)
    records = swarm(old, gone)
    assert records.wanted(ROOTS[0]) is None
    assert set(records.due(T0 + 30 * MS_PER_DAY).forgotten) == {old.storage_key, gone.storage_key}
    assert records.get(old.key) is None
    assert records.merge(gone, T0 + 30 * MS_PER_DAY).status is Status.STALE
    assert set(records) == set(FOUNDING.records)


def test_purging_needs_a_steward_and_takes_nothing_away_before() -> None:
    theirs, purged = at(1, pin(), PEERS[0]), at(2, pin(deleted=True), PEERS[0])
    records = swarm(theirs)
    assert records.merge(purged, T0).status is Status.KEPT
    assert records.live_pins(ROOTS[0]) == (theirs,)
    assert swarm(purged, theirs).live_pins(ROOTS[0]) == (theirs,)
    assert records.merge(at(3, pin(deleted=True), STEWARD), T0).status is Status.COUNTS
    assert records.wanted(ROOTS[0]) is None


def test_nothing_is_removed_while_the_charter_is_append_only() -> None:
    charter = Charter(
        number=2,
        previous=(FOUNDING.swarm,),
        name="test",
        stewards=(STEWARD.peer_id,),
        recovery=RECOVERY.peer_id,
        append_only=True,
    )
    kept = at(1, pin(), PEERS[0])
    records = swarm(kept, at(2, charter, STEWARD))
    for key, fields in ((PEERS[0], {"trashed_ms": T0}), (STEWARD, {"deleted": True})):
        assert records.merge(at(3, pin(**fields), key), T0).status is Status.KEPT
    assert records.live_pins(ROOTS[0]) == (kept,)


def test_what_is_stamped_ahead_is_held_back_until_it_is_due() -> None:
    records = swarm()
    ahead = at(AHEAD_MS + 1, pin(), PEERS[0])
    digest = records.digest
    assert records.merge(ahead, T0).status is Status.HELD_BACK
    assert records.merge(ahead, T0).status is Status.KNOWN
    assert records.digest == digest
    assert set(records) == set(FOUNDING.records)
    assert records.due(T0).roots == frozenset()
    assert records.due(T0 + 1).roots == {ROOTS[0]}
    assert records.digest != digest


def test_by_the_others_time_what_was_held_back_counts_and_nothing_ends() -> None:
    day = MS_PER_DAY
    records = swarm(at(1, pin(1, expires_ms=T0 + day), PEERS[0]))
    assert records.merge(at(day, pin(), PEERS[0]), T0).status is Status.HELD_BACK
    assert records.ripen(T0 + day - AHEAD_MS - 1).roots == frozenset()
    assert records.ripen(T0 + day).roots == {ROOTS[0]}
    assert records.live_pins(ROOTS[1])
    assert records.due(T0 + day).roots == {ROOTS[1]}


def test_held_back_records_are_bounded() -> None:
    records, author = swarm(), Author(PEERS[0], Clock(Stamp(T0 + 10 * AHEAD_MS, 0)))
    statuses = [
        records.merge(author.write(pin(id=n.to_bytes(16, "big")), T0), T0).status
        for n in range(HELD_BACK_PER_AUTHOR + 3)
    ]
    assert statuses.count(Status.REFUSED) == 3
    assert records.merge(at(2 * AHEAD_MS, pin(), PEERS[3]), T0).status is Status.REFUSED


@settings(max_examples=60, deadline=None)
@given(st.lists(any_record(), max_size=12))
def test_who_governs_is_found_without_a_look_at_the_pins(drawn: list[Signed[Record]]) -> None:
    found = swarm(*drawn)
    expected = {s.digest for s in found if isinstance(s.record, Admission | Expulsion | Departure | Charter)}
    assert {s.digest for s in found.governing()} == expected
