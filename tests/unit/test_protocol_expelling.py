"""An expulsion takes nothing along: what counted of its author's pins counts as before, on whoever hears of it and when."""

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.limits import MS_PER_DAY
from protocol.records import Expulsion, Flow, Pin, Record, Replicas, Signed, sign_record
from protocol.recordset import RecordSet
from tests.scenario_vectors import ADA, BOB, EVE, FOUNDING, NOW_MS, STEWARD, T0, at, member, pin

FACTORS = st.sampled_from([None, Replicas(1, 1), Replicas(2, 5)])


@st.composite
def written(draw: st.DrawFn) -> Signed[Record]:
    """A pin or a flow of one of three curators or of the steward."""
    author = draw(st.sampled_from([ADA, BOB, BOB, EVE, STEWARD]))
    record: Record = draw(
        st.one_of(
            st.builds(
                pin,
                st.integers(1, 3),
                trashed_ms=st.sampled_from([None, T0 + 1, T0 - 29 * MS_PER_DAY]),
                deleted=st.booleans(),
                expires_ms=st.sampled_from([None, T0 + 30, T0 + 10**9]),
                replicas=FACTORS,
            ),
            st.builds(Flow, name=st.just("f"), replicas=FACTORS, deleted=st.booleans()),
        )
    )
    return at(draw(st.integers(20, 40)), record, author)


def merged(records: list[Signed[Record]]) -> RecordSet:
    found = RecordSet(FOUNDING.swarm)
    for signed in records:
        found.merge(signed, NOW_MS)
    found.due(NOW_MS)
    return found


def wishes(records: RecordSet) -> dict[bytes, tuple[object, ...]]:
    """What is wanted, whoever signed it."""
    return {
        root: (records.wanted(root), frozenset(signed.record.trashed_ms is None for signed in records.live_pins(root)))
        for root in records.roots()
    }


def signed_anew(records: RecordSet) -> list[Signed[Record]]:
    """As `expel` does it."""
    theirs = [signed for signed in records.records_by(BOB.peer_id) if isinstance(signed.record, Pin | Flow)]
    return [sign_record(signed.record, STEWARD) for signed in theirs]


@settings(max_examples=120, deadline=None)
@given(st.lists(written(), max_size=10), st.data())
def test_what_counted_counts_as_before_in_whatever_order_it_arrives(
    drawn: list[Signed[Record]], data: st.DataObject
) -> None:
    before = merged([*FOUNDING.records, member(BOB), member(EVE), *drawn])
    everything = [*before, *signed_anew(before), at(50, Expulsion(peer=BOB.peer_id), STEWARD)]
    later = [at(60, pin(1, replicas=Replicas(3, 3)), BOB)]
    after = merged(everything)
    assert wishes(after) == wishes(before)
    assert not after.records_by(BOB.peer_id)
    elsewhere = merged(data.draw(st.permutations([*everything, *later])))
    assert elsewhere.digest == after.digest
    assert wishes(elsewhere) == wishes(before)


@settings(max_examples=60, deadline=None)
@given(st.lists(written(), max_size=10))
def test_who_joins_afterwards_and_is_sent_what_counts_sees_the_same(drawn: list[Signed[Record]]) -> None:
    before = merged([*FOUNDING.records, member(BOB), member(EVE), *drawn])
    after = merged([*before, *signed_anew(before), at(50, Expulsion(peer=BOB.peer_id), STEWARD)])
    joiner = merged([signed for signed in after if (known := after.get(signed.key)) is not None and known == signed])
    assert joiner.digest == after.digest
    assert wishes(joiner) == wishes(before)


@settings(max_examples=60, deadline=None)
@given(st.lists(written(), max_size=10), st.data())
def test_an_expulsion_cut_short_is_finished_by_asking_again(drawn: list[Signed[Record]], data: st.DataObject) -> None:
    before = merged([*FOUNDING.records, member(BOB), member(EVE), *drawn])
    first = signed_anew(before)
    half = merged([*before, *first[: data.draw(st.integers(0, len(first)))]])
    after = merged([*half, *signed_anew(half), at(50, Expulsion(peer=BOB.peer_id), STEWARD)])
    assert wishes(after) == wishes(before)
