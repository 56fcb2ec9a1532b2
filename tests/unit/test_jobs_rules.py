"""What may become of a job, and which run next: the rules alone."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Failed
from node.jobs import rules
from node.jobs.choosing import Waiting, choose
from node.jobs.job import MAX_TRIES, Change, Job, State

JOB = Job(id=1, kind="extern", name="it")


def job(state: State, **fields: object) -> Job:
    return replace(JOB, state=state, **fields)  # type: ignore[arg-type]


Step = Callable[[Job, int], Change]
STEPS: dict[str, Step] = {
    "started": rules.started,
    "stepped": lambda job, now_ms: rules.stepped(job, {"fetched": now_ms}, now_ms),
    "finished": lambda job, now_ms: rules.finished(job, {}, now_ms),
    "trouble": lambda job, now_ms: rules.went_wrong(job, rules.Wrong("trouble", retry=True), now_ms, 0.5),
    "wrong": lambda job, now_ms: rules.went_wrong(job, rules.Wrong("wrong"), now_ms, 0.5),
    "stopped": rules.stopped,
    "found": rules.found_running,
    "pause": rules.paused,
    "resume": rules.resumed,
    "cancel": rules.cancelled,
    "retry": lambda job, now_ms: rules.retried(job, now_ms, keep_steps=False),
}
MOVES = {
    (State.QUEUED, State.RUNNING), (State.QUEUED, State.PAUSED), (State.QUEUED, State.CANCELLED),
    (State.RUNNING, State.QUEUED), (State.RUNNING, State.PAUSED), (State.RUNNING, State.CANCELLED),
    (State.RUNNING, State.DONE), (State.RUNNING, State.FAILED), (State.PAUSED, State.QUEUED),
    (State.PAUSED, State.CANCELLED), (State.FAILED, State.QUEUED), (State.FAILED, State.CANCELLED),
    (State.CANCELLED, State.QUEUED),
}  # fmt: skip
"""The diagram at the head of `rules`."""


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=60))
def test_a_job_moves_only_as_the_diagram_says_and_is_never_begun_too_often_without_progress(story: list[str]) -> None:
    now_ms, current = 0, rules.submitted(JOB, 0).job
    for name in story:
        now_ms += 1000
        try:
            change = STEPS[name](current, now_ms)
        except (Failed, rules.NotRunning):
            continue
        moved = current.state is not change.job.state
        assert not moved or (current.state, change.job.state) in MOVES
        assert change.happenings or not moved or name == "stopped", "a move that nobody hears of"
        assert 0 <= change.job.attempts <= MAX_TRIES
        assert set(change.job.steps) >= set(current.steps) or name == "retry", "a finished step is forgotten"
        assert change.job.due_ms <= now_ms + rules.MAX_RETRY_S * 1000 * (1 + rules.JITTER)
        current = change.job


@given(st.integers(1, 60), st.floats(0, 1))
def test_the_wait_doubles_up_to_an_hour_and_differs_by_luck_only_a_little(attempts: int, luck: float) -> None:
    even_s = min(rules.FIRST_RETRY_S * 2.0 ** (attempts - 1), rules.MAX_RETRY_S)
    assert abs(rules.backoff_s(attempts, luck) - even_s) <= even_s * rules.JITTER + 1e-9


def test_a_server_may_ask_for_a_longer_wait_but_not_for_days() -> None:
    patient = rules.went_wrong(job(State.RUNNING, attempts=1), rules.Wrong("429", retry=True, retry_after_s=60), 0, 0.5)
    assert patient.job.due_ms == 60_000
    for_ever = rules.went_wrong(
        job(State.RUNNING, attempts=1), rules.Wrong("429", retry=True, retry_after_s=1e6), 0, 0.5
    )
    assert for_ever.job.due_ms == rules.LONGEST_WAIT_MS


def test_a_job_that_ends_the_daemon_each_time_fails_at_last() -> None:
    current, runs = rules.submitted(JOB, 0).job, 0
    while current.state is State.QUEUED:
        current, runs = rules.found_running(rules.started(current, 0).job, 0).job, runs + 1
    assert (current.state, runs) == (State.FAILED, MAX_TRIES)
    assert current.error == "the daemon ended 10 times in the middle of it"


def test_a_job_that_gets_on_may_be_interrupted_any_number_of_times() -> None:
    current = rules.submitted(JOB, 0).job
    for number in range(5 * MAX_TRIES):
        current = rules.stepped(rules.started(current, 0).job, {f"page {number}": True}, 0).job
        current = rules.found_running(current, 0).job
    assert current.state is State.QUEUED


def test_a_step_is_told_once() -> None:
    once = rules.stepped(job(State.RUNNING), {"fetched": 1}, 0)
    again = rules.stepped(once.job, {"fetched": 2}, 0)
    assert [each.kind for each in once.happenings] == ["fetched"]
    assert again.happenings == ()
    assert again.job.steps == {"fetched": 1}


def test_a_retry_forgets_steps_unless_what_they_left_is_kept() -> None:
    failed = job(State.FAILED, steps={"fetched": 1}, attempts=10, error="no", exit_code=1)
    assert rules.retried(failed, 5, keep_steps=False).job.steps == {}
    kept = rules.retried(failed, 5, keep_steps=True).job
    assert (kept.steps, kept.attempts, kept.error, kept.due_ms) == ({"fetched": 1}, 0, None, 5)


@pytest.mark.parametrize(
    ("rule", "state", "why"),
    [
        (rules.paused, State.DONE, "job 1 is done: only queued and running ones are paused"),
        (rules.resumed, State.FAILED, "job 1 is failed: only paused ones are resumed"),
        (rules.cancelled, State.DONE, "job 1 is done: there is nothing to cancel"),
        (STEPS["retry"], State.RUNNING, "job 1 is running: only failed and cancelled ones are retried"),
    ],
)
def test_what_cannot_be_says_why(rule: Step, state: State, why: str) -> None:
    with pytest.raises(Failed, match=why):
        rule(job(state), 0)


KINDS = ("extern", "crawl", "migrate")


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(-2, 2)), max_size=30),
    st.dictionaries(st.sampled_from(KINDS), st.integers(0, 3)),
    st.dictionaries(st.sampled_from(KINDS), st.integers(0, 5)),
    st.integers(0, 12),
)
def test_the_most_urgent_run_and_never_too_many(
    queued: list[tuple[str, int]], running: dict[str, int], at_once: dict[str, int], total: int
) -> None:
    waiting = [Waiting(number, kind, priority) for number, (kind, priority) in enumerate(queued, start=1)]
    chosen = choose(reversed(waiting), running, at_once, total)
    jobs = {each.id: each for each in waiting}
    now_running = Counter(running) + Counter(jobs[each].kind for each in chosen)
    assert len(chosen) == len(set(chosen))
    assert sum(now_running.values()) <= max(total, sum(running.values()))
    for each in chosen:
        assert now_running[jobs[each].kind] <= at_once[jobs[each].kind]
    for left in waiting:
        if left.id in chosen:
            continue
        full = now_running[left.kind] >= at_once.get(left.kind, 0) or sum(now_running.values()) >= total
        assert full, "somebody waits although there is room"
        for each in chosen:
            if jobs[each].kind == left.kind:
                assert (-jobs[each].priority, each) < (-left.priority, left.id)
