"""What is held against a copy, when it stops to count, and that only its holder's proof or retraction ends it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.audit import (
    ABSENT_MS,
    DOUBT_MS,
    HEARSAY_MS,
    MAX_DOUBTFUL,
    MAX_DOUBTS_PER_CHALLENGER,
    MINUTE_MS,
    RENEW_MS,
    Audits,
    Copy,
    Doubtful,
    Effect,
    Judged,
    Outcome,
    Publish,
)

ROOT = b"root" * 9
KIND = "ipfs"
COPY = Copy(ROOT, KIND, "liar")
OUTCOMES: tuple[Outcome, ...] = ("proven", "wrong", "unable", "silent")


def answered(audits: Audits, outcome: Outcome, now_ms: int, copy: Copy = COPY) -> tuple[Effect, ...]:
    return audits.answered(copy, outcome, now_ms, spread=0.5)


def verdicts(effects: Sequence[Effect]) -> list[str]:
    return [effect.verdict for effect in effects if isinstance(effect, Judged)]


def published(effects: Sequence[Effect]) -> list[bool]:
    """Of each doubt that was published, whether widely."""
    return [effect.widely for effect in effects if isinstance(effect, Publish)]


@pytest.mark.parametrize("outcome", ["wrong", "unable", "silent"])
def test_one_failure_makes_a_copy_unproven_and_no_more(outcome: Outcome) -> None:
    audits = Audits()
    assert verdicts(answered(audits, outcome, 0)) == ["unproven"]
    assert audits.unproven(ROOT, KIND) == {"liar"}
    assert audits.absent(ROOT, KIND, holds=True) == audits.absent(ROOT, KIND, holds=False) == frozenset()
    assert audits.unproven(ROOT, "s3") == frozenset()
    assert audits.due(MINUTE_MS // 2, 9) == ()
    assert audits.due(2 * MINUTE_MS, 9) == (COPY,)
    assert verdicts(answered(audits, "proven", 2 * MINUTE_MS)) == ["trusted"]
    assert audits.unproven(ROOT, KIND) == frozenset()
    assert audits.due(10**12, 9) == ()


def test_two_wrong_answers_ten_minutes_apart_make_a_copy_lost() -> None:
    audits = Audits()
    answered(audits, "wrong", 0)
    assert verdicts(answered(audits, "wrong", DOUBT_MS - 1)) == []
    assert verdicts(answered(audits, "wrong", DOUBT_MS)) == ["lost"]
    assert audits.absent(ROOT, KIND, holds=True) == {"liar"}
    assert verdicts(answered(audits, "proven", DOUBT_MS + 1)) == ["trusted"]
    assert audits.absent(ROOT, KIND, holds=True) == frozenset()


def test_an_hour_without_a_proof_makes_a_copy_absent_but_never_lost() -> None:
    audits = Audits()
    for now_ms in range(0, 40 * ABSENT_MS, DOUBT_MS):
        effects = answered(audits, "silent", now_ms)
        assert audits.verdict_on(COPY) == ("unproven" if now_ms < ABSENT_MS else "absent")
        assert (verdicts(effects) == ["absent"]) == (now_ms == ABSENT_MS)


def test_silence_is_held_against_a_live_holder_only() -> None:
    audits = Audits()
    answered(audits, "silent", 0)
    audits.out_of_reach(COPY, ABSENT_MS - 1)
    assert verdicts(answered(audits, "silent", ABSENT_MS + 1)) == []
    assert verdicts(answered(audits, "silent", 2 * ABSENT_MS + 1)) == ["absent"]


def test_a_doubt_is_published_after_ten_minutes_and_widely_once_another_copy_is_due() -> None:
    audits = Audits()
    told = []
    for now_ms in range(0, 8 * ABSENT_MS, MINUTE_MS):
        told += [(now_ms, widely) for widely in published(answered(audits, "silent", now_ms))]
    assert told == [(DOUBT_MS, False), (ABSENT_MS, True), (ABSENT_MS + RENEW_MS, True)]


def test_a_retraction_ends_it() -> None:
    audits = Audits()
    answered(audits, "wrong", 0)
    assert verdicts(audits.gone(COPY)) == ["trusted"]
    assert list(audits.doubtful()) == []
    assert audits.gone(COPY) == ()


def test_who_holds_the_root_challenges_for_itself_before_it_doubts() -> None:
    audits = Audits()
    assert audits.doubted(COPY, "ada", 0, holds=True, spread=0.5) == ()
    assert audits.unproven(ROOT, KIND) == audits.absent(ROOT, KIND, holds=True) == frozenset()
    assert audits.due(MINUTE_MS, 9) == (COPY,)
    answered(audits, "proven", MINUTE_MS)
    assert audits.doubted(COPY, "ada", 2 * MINUTE_MS, holds=False, spread=0.5) == (), "it has proven it just now"


def test_who_does_not_goes_by_what_others_say_for_a_day() -> None:
    audits = Audits()
    assert verdicts(audits.doubted(COPY, "ada", 0, holds=False, spread=0.5)) == ["absent"]
    assert audits.absent(ROOT, KIND, holds=False) == {"liar"}
    assert audits.absent(ROOT, KIND, holds=True) == frozenset()
    assert audits.tick(HEARSAY_MS - 1) == ()
    audits.doubted(COPY, "bob", HEARSAY_MS - 1, holds=False, spread=0.5)
    assert audits.tick(HEARSAY_MS) == ()
    assert verdicts(audits.tick(2 * HEARSAY_MS)) == ["trusted"]
    assert audits.absent(ROOT, KIND, holds=False) == frozenset()


def test_one_member_can_doubt_only_so_much() -> None:
    audits = Audits()
    copies = [Copy(n.to_bytes(36, "big"), KIND, "liar") for n in range(MAX_DOUBTS_PER_CHALLENGER + 5)]
    for _ in range(2):
        for copy in copies:
            audits.doubted(copy, "flooder", 0, holds=False, spread=0.5)
    assert len(audits.heard_of()) == MAX_DOUBTS_PER_CHALLENGER
    assert audits.doubted(copies[-1], "ada", 0, holds=False, spread=0.5)
    audits.tick(HEARSAY_MS)
    assert audits.heard_of() == ()
    assert audits.doubted(copies[-1], "flooder", HEARSAY_MS, holds=False, spread=0.5)


def test_repeated_doubts_take_no_more_room() -> None:
    audits = Audits()
    for now_ms in range(1000):
        audits.doubted(COPY, "flooder", now_ms, holds=True, spread=0.5)
    assert len(audits.due(10**12, 1)) == 1
    assert audits.next_due_ms() is None


def test_what_is_held_against_others_is_bounded() -> None:
    audits = Audits()
    for n in range(MAX_DOUBTFUL + 1):
        answered(audits, "silent", 0, Copy(n.to_bytes(36, "big"), KIND, "liar"))
    assert len(list(audits.doubtful())) == MAX_DOUBTFUL


def test_it_survives_a_restart_but_for_the_silence_meanwhile() -> None:
    audits = Audits()
    answered(audits, "wrong", 0)
    answered(audits, "silent", 1)
    raws = [one.to_bytes() for one in audits.doubtful()]
    again = Audits(map(Doubtful.from_bytes, raws), now_ms=5)
    assert again.unproven(ROOT, KIND) == {"liar"}
    assert verdicts(answered(again, "silent", ABSENT_MS + 1)) == []
    assert verdicts(answered(again, "wrong", ABSENT_MS + 2)) == ["lost"]


@pytest.mark.parametrize("raw", [b"", b"\xff", b"\x80", b"\xa0", b"\x83\x01\x02\x03"])
def test_what_is_no_doubtful_copy_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not a doubtful copy"):
        Doubtful.from_bytes(raw)


STEPS = st.lists(
    st.tuples(st.integers(0, 30 * MINUTE_MS), st.sampled_from([*OUTCOMES, "gone", "away", "doubt", "look", "restart"])),
    max_size=60,
)


@given(STEPS, st.booleans())
def test_a_copy_is_lost_or_absent_only_for_cause(steps: list[tuple[int, str]], holds: bool) -> None:
    """Against a second, plainer book-keeping of what the rules ask for."""
    audits = Audits()
    now_ms = 0
    failed_ms: int | None = None
    wrong_ms: list[int] = []
    unanswered_ms: list[int] = []
    lost = absent = False
    for pause_ms, what in steps:
        now_ms += pause_ms
        if what in OUTCOMES:
            effects = answered(audits, what, now_ms)  # type: ignore[arg-type]
            assert not published(effects) or (failed_ms is not None and now_ms - failed_ms >= DOUBT_MS)
            if what == "proven":
                failed_ms, wrong_ms, unanswered_ms, lost, absent = None, [], [], False, False
            else:
                failed_ms = now_ms if failed_ms is None else failed_ms
                wrong_ms += [now_ms] if what == "wrong" else []
                unanswered_ms = [] if what == "wrong" else [*unanswered_ms, now_ms]
                lost |= what == "wrong" and now_ms - wrong_ms[0] >= DOUBT_MS
                absent |= bool(unanswered_ms) and now_ms - unanswered_ms[0] >= ABSENT_MS
        elif what == "gone":
            audits.gone(COPY)
            failed_ms, wrong_ms, unanswered_ms, lost, absent = None, [], [], False, False
        elif what == "away":
            audits.out_of_reach(COPY, now_ms)
            unanswered_ms = []
        elif what == "doubt":
            audits.doubted(COPY, "ada", now_ms, holds=holds, spread=0.1)
        elif what == "restart":
            audits = Audits([Doubtful.from_bytes(one.to_bytes()) for one in audits.doubtful()], now_ms=now_ms)
            unanswered_ms = []
        else:
            audits.tick(now_ms)
            due = audits.due(now_ms + 73 * MINUTE_MS, 9)
            assert due == (COPY,) or failed_ms is None, "a doubted copy is never forgotten to be challenged again"
            for copy in due:
                audits.out_of_reach(copy, now_ms)
                unanswered_ms = []
        assert (audits.unproven(ROOT, KIND) == {"liar"}) == (failed_ms is not None)
        assert (audits.absent(ROOT, KIND, holds=True) == {"liar"}) == (lost or absent)
        assert (audits.verdict_on(COPY) == "lost") == lost
