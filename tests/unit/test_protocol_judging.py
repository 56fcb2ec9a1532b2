"""A change of roles may concern all records there are: counted again in parts, the outcome is that of one go."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.changes import Journal
from protocol.limits import MS_PER_DAY
from protocol.records import CURATOR, KEEPER, Admission, Expulsion, Record, Signed
from protocol.recordset import RecordSet
from tests.unit.test_protocol_recordset import (
    FOUNDING,
    PEERS,
    ROOTS,
    STEWARD,
    T0,
    any_record,
    at,
    pin,
    visible,
)

MEMBERS: list[Signed[Record]] = [
    *FOUNDING.records,
    at(5, Admission(peer=PEERS[1].peer_id, roles=(CURATOR, KEEPER)), STEWARD),
]


@settings(max_examples=100, deadline=None)
@given(st.lists(any_record(), max_size=14), st.data())
def test_judged_in_parts_it_comes_to_the_same_whatever_happens_in_between(
    drawn: list[Signed[Record]], data: st.DataObject
) -> None:
    everything: list[Signed[Record]] = [*FOUNDING.records, *drawn]
    whole, parts = RecordSet(FOUNDING.swarm), RecordSet(FOUNDING.swarm)
    disk: dict[bytes, Signed[Record]] = {}
    for signed in everything:
        whole.merge(signed, T0 + 1000)
    whole.due(T0 + 30 * MS_PER_DAY)
    for signed in data.draw(st.permutations(everything)):
        changes = [parts.merge_all([signed], T0 + 1000, judge_at_once=data.draw(st.integers(0, 1)))[1]]
        what = data.draw(st.sampled_from(["nothing", "due", "judge"]))
        if what == "due":
            changes.append(parts.due(T0 + data.draw(st.integers(0, 30)), judge_at_once=0))
        elif what == "judge":
            parts.judge_on(journal := Journal(), data.draw(st.integers(0, 2)))
            changes.append(journal.close())
        for change in changes:
            disk.update({stored.storage_key: stored for stored in change.stored})
            for key in change.forgotten:
                del disk[key]
    while not parts.is_judged():
        parts.judge_on(Journal(), 1)
    for key in parts.due(T0 + 30 * MS_PER_DAY).forgotten:
        del disk[key]
    assert visible(parts) == visible(whole)
    assert set(disk.values()) == set(parts)


def test_a_tombstone_that_counts_no_longer_takes_nothing_along_before_that_is_judged() -> None:
    """The expelled peer's removal is about to fall; the day comes on which it would have been forgotten, with all before it."""
    kept = at(10, pin(1), STEWARD)
    removal = at(20, pin(1, trashed_ms=T0 + 20), PEERS[1])
    records = RecordSet(FOUNDING.swarm)
    records.merge_all([*MEMBERS, kept, removal], T0 + 1000)
    assert records.get(kept.key) == removal
    expulsion = at(50, Expulsion(peer=PEERS[1].peer_id), STEWARD)
    records.merge_all([expulsion], T0 + 1000, judge_at_once=0)
    assert not records.is_judged()
    records.due(T0 + 100 * MS_PER_DAY, judge_at_once=0)
    assert records.live_pins(ROOTS[1]) == (kept,)


def test_nothing_is_put_aside_that_counts_only_by_the_rules_before() -> None:
    kept, replaced = at(10, pin(1), STEWARD), at(20, pin(1, trashed_ms=T0 + 20), PEERS[1])
    records = RecordSet(FOUNDING.swarm)
    records.merge_all([*MEMBERS, kept, replaced], T0 + 1000)
    records.merge_all([at(50, Expulsion(peer=PEERS[1].peer_id), STEWARD)], T0 + 1000, judge_at_once=0)
    changes = records.set_aside([replaced])
    assert (changes.forgotten, changes.replaced) == ((), (replaced,))
    assert records.get(kept.key) == kept


def test_a_part_looks_at_so_many_records_and_no_more() -> None:
    records = RecordSet(FOUNDING.swarm)
    theirs = [at(20 + n, pin(n), PEERS[1]) for n in range(6)]
    records.merge_all([*MEMBERS, *theirs], T0 + 1000)
    with patch.object(RecordSet, "_recount", autospec=True, side_effect=RecordSet._recount) as recount:
        expulsion = at(50, Expulsion(peer=PEERS[1].peer_id), STEWARD)
        records.merge_all([expulsion], T0 + 1000, judge_at_once=2)
        looked_at = {call.args[1] for call in recount.call_args_list}
        assert len(looked_at & {signed.key for signed in theirs}) == 2
    assert records.pin_count == 4
    journal = Journal()
    records.judge_on(journal, 3)
    assert not records.is_judged()
    records.judge_on(journal, 3)
    assert records.is_judged()
    assert len(journal.close().replaced) == 4
    assert records.pin_count == 0
