"""Two daemons with one identity are told from their heartbeats, and a single one never is."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from protocol.beat import SignedBeat, open_beat, sign_beat
from protocol.holdings import ElementSet, HoldingsBook
from protocol.identity import KeyPair
from protocol.twins import STRIKES, Twins
from tests.wire_examples import BEAT

KEY = KeyPair(b"k" * 32)


def beat(incarnation: int, seq: int, clock_ms: int, name: str = "ada") -> SignedBeat:
    changed = replace(BEAT, incarnation=incarnation, seq=seq, clock_ms=clock_ms, name=name, holdings=None)
    return open_beat(sign_beat(changed, KEY))


def verdicts(*beats: SignedBeat) -> list[bool]:
    twins = Twins()
    return [twins.on_beat(signed) for signed in beats]


def test_two_beats_under_one_number_are_proof() -> None:
    assert verdicts(beat(3, 1, 10), beat(3, 1, 10)) == [False, False]
    assert verdicts(beat(3, 1, 10), beat(3, 1, 11)) == [False, True]


def test_an_older_start_that_goes_on_speaking_is_proof_after_a_few_beats() -> None:
    alternating = [beat(3, 1, 0), beat(4, 1, 5)]
    for n in range(STRIKES):
        alternating += [beat(3, 2 + n, 10 * n + 10), beat(4, 2 + n, 10 * n + 15)]
    found = verdicts(*alternating)
    assert found.index(True) == len(alternating) - 2


def test_replayed_and_late_beats_of_an_older_start_prove_nothing() -> None:
    old, new = [beat(3, n, n) for n in range(40)], [beat(4, n, 1000 + n) for n in range(4)]
    assert not any(verdicts(*old[:9], *new, *old, *old))


@given(st.data())
def test_one_daemon_is_never_taken_for_two_however_its_beats_arrive(data: st.DataObject) -> None:
    clock_ms, beats = 0, []
    for incarnation in range(data.draw(st.integers(1, 4))):
        for seq in range(data.draw(st.integers(1, 6))):
            clock_ms += data.draw(st.integers(1, 9))
            beats.append(beat(incarnation, seq, clock_ms))
    order = data.draw(st.permutations(beats)) + data.draw(st.lists(st.sampled_from(beats), max_size=9))
    assert not any(verdicts(*order))


def test_a_question_names_a_start_that_gossip_does_not_carry() -> None:
    me, twins = KEY.peer_id, Twins()
    assert not twins.on_beat(beat(3, 1, 10))
    assert not twins.on_word(me, 4, 12)
    assert twins.newest_start(me) == 4
    assert [twins.on_beat(beat(3, 2 + n, 13 + n)) for n in range(STRIKES)] == [False] * (STRIKES - 1) + [True]
    assert not twins.on_word(me, 4, 30)
    assert twins.on_word(me, 3, 31)
    assert not twins.on_word(me, 3, 11)


def test_two_starts_of_one_number_are_told_apart_by_what_they_have_drawn() -> None:
    """Both came up at once, before anybody had heard either, and gossip reaches only one of them."""
    me, twins = KEY.peer_id, Twins()
    assert not twins.on_beat(beat(2, 1, 10))
    assert not twins.on_word(me, 2, 12, b"original")
    assert not twins.on_word(me, 2, 22, b"original")
    assert twins.on_word(me, 2, 23, b"its copy")
    assert twins.on_word(me, 2, 32, b"original"), "until a person chooses"
    assert not twins.on_word(me, 3, 40, b"original"), "which numbers it anew"


def test_a_peer_that_was_cloned_counts_again_from_a_higher_epoch_on() -> None:
    book = HoldingsBook()
    book.on_summary(KEY.peer_id, ElementSet().summary(4, 0), 0.0)
    book.mark_cloned(KEY.peer_id)
    book.on_summary(KEY.peer_id, ElementSet().summary(4, 1), 1.0)
    assert book.of(KEY.peer_id).cloned
    book.on_summary(KEY.peer_id, ElementSet().summary(5, 0), 2.0)
    assert not book.of(KEY.peer_id).cloned
