"""What waits for a slot, what has failed and when it is tried again, and the bytes a second that fetches may take."""

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from node.replication.backlog import Backlog
from node.replication.planner import Fetch, Urgency
from node.replication.throttle import LEAST_WINDOW_BYTES, Throttle
from node.replication.view import RootKey
from node.replication.work import FIRST_RETRY_S, SEEK_RETRY_S, UNWANTED_S, Running, Work


def fetch(name: str, *, urgency: Urgency = Urgency.REPAIR, copies: int = 1, sources: tuple[str, ...] = ("p",)) -> Fetch:
    return Fetch(
        root=name.encode(), kind="ipfs", sources=sources, reason="", urgency=urgency, copies=copies, size_bytes=1
    )


def key(name: str) -> RootKey:
    return RootKey(name.encode(), "ipfs")


def of_two_kinds(name: str) -> RootKey:
    return RootKey(name.encode(), "ipfs" if name < "d" else "s3")


names = st.sampled_from("abcdef")
steps = st.lists(st.tuples(names, st.integers(0, 3) | st.none()), max_size=60)


@given(steps)
def test_a_backlog_gives_out_what_was_put_last_and_not_dropped_most_urgent_first(
    story: list[tuple[str, int | None]],
) -> None:
    backlog: Backlog[Fetch] = Backlog()
    model: dict[RootKey, tuple[int, int, bytes]] = {}
    for name, urgency in story:
        if urgency is None:
            backlog.discard(of_two_kinds(name))
            model.pop(of_two_kinds(name), None)
        else:
            model[of_two_kinds(name)] = (urgency, 1, name.encode())
            backlog.put(of_two_kinds(name), fetch(name), model[of_two_kinds(name)])
        assert len(backlog) == len(model)
    assert (backlog.pop(lambda kind: False)) is None
    of_s3 = sorted((rank, each) for each, rank in model.items() if each.kind == "s3")
    if of_s3:
        taken = backlog.pop(lambda kind: kind == "s3")
        assert taken is not None
        assert taken[0] == of_s3[0][1]
        del model[taken[0]]
    given_out = []
    while (taken := backlog.pop()) is not None:
        given_out.append(taken[0])
    assert given_out == sorted(model, key=lambda each: model[each])


def test_a_backlog_that_is_replanned_for_ever_does_not_grow() -> None:
    backlog: Backlog[Fetch] = Backlog()
    for turn in range(10_000):
        backlog.put(key("a"), fetch("a"), (turn, 1, b"a"))
    assert sum(map(len, backlog._heaps.values())) < 100


def test_a_pin_that_is_written_again_ends_the_wait_for_what_nobody_had() -> None:
    work = Work()
    for name in "ab":
        work.fetch_failed(fetch(name, sources=()), "nobody has it", 100.0)
    work.ask_again({b"a"})
    assert work.may_try(key("a"), 100.0)
    assert not work.may_try(key("b"), 100.0)


def test_a_pin_that_is_written_again_during_a_try_that_fails_has_another_one_follow_soon() -> None:
    work = Work()
    work.fetching[key("a")] = Running(fetch("a", sources=()))
    work.ask_again({b"a"})
    assert work.fetch_failed(fetch("a", sources=()), "nobody has it", 100.0) == FIRST_RETRY_S


def test_a_holders_silence_is_not_cut_short_by_a_pin() -> None:
    work = Work()
    work.fetch_failed(fetch("a"), "its holder is silent", 100.0)
    work.ask_again({b"a"})
    assert not work.may_try(key("a"), 100.0)


def test_a_failed_fetch_is_due_once_its_wait_is_over_and_only_once() -> None:
    work = Work()
    assert work.fetch_failed(fetch("a"), "why", 100.0) == FIRST_RETRY_S
    assert not work.may_try(key("a"), 101.0)
    assert work.next_due_s(100.0) == 100.0 + FIRST_RETRY_S
    assert work.due_roots(101.0) == set()
    assert work.due_roots(102.0) == {b"a"}
    assert work.due_roots(103.0) == set()
    assert work.may_try(key("a"), 102.0)


def test_waits_double_and_a_success_ends_them() -> None:
    work = Work()
    waits = [work.fetch_failed(fetch("a"), "why", 0.0) for _ in range(8)]
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    work.done(key("a"))
    assert work.next_due_s(0.0) is None
    assert work.fetch_failed(fetch("a"), "why", 0.0) == FIRST_RETRY_S


def test_a_root_that_nobody_had_is_tried_at_once_when_somebody_has_it() -> None:
    work = Work()
    assert work.fetch_failed(fetch("a", sources=()), "why", 0.0) == SEEK_RETRY_S
    assert not work.may_try(key("a"), 1.0)
    assert work.may_try(key("a"), 1.0, sources=True)


def test_an_operator_ends_every_wait() -> None:
    work = Work()
    work.fetch_failed(fetch("a"), "why", 0.0)
    work.release_failed(key("b"), "why", 0.0)
    assert work.forget_failures() == {b"a", b"b"}
    assert work.may_try(key("a"), 0.0)
    assert work.next_due_s(0.0) is None


def test_a_root_is_unwanted_for_a_while_before_it_goes() -> None:
    work = Work()
    assert not work.long_unwanted(key("a"), 100.0)
    assert not work.long_unwanted(key("a"), 101.0)
    work.forget_failures()
    assert work.due_roots(100.0 + UNWANTED_S) == {b"a"}
    assert work.long_unwanted(key("a"), 100.0 + UNWANTED_S)
    work.done(key("a"))
    assert not work.long_unwanted(key("a"), 200.0), "it was wanted again, and then no more"


async def test_fetches_together_take_no_more_than_the_cap(autojump_clock: MockClock) -> None:
    rate = 4 << 20
    throttle = Throttle(lambda: rate)
    assert throttle.window_bytes == rate
    began_s = trio.current_time()

    async def take(count: int) -> None:
        for _ in range(count):
            await throttle.spend(1 << 20)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(take, 10)
    took_s = trio.current_time() - began_s
    assert 8.9 < took_s < 10.1, "40 MiB at 4 MiB/s, the first second's worth at once"


async def test_a_cap_may_come_and_go_while_fetches_run(autojump_clock: MockClock) -> None:
    rates: list[float | None] = [None]
    throttle = Throttle(lambda: rates[0])
    began_s = trio.current_time()
    await throttle.spend(1 << 30)
    assert trio.current_time() == began_s
    rates[0] = float(LEAST_WINDOW_BYTES)
    await throttle.spend(3 * LEAST_WINDOW_BYTES)
    assert trio.current_time() - began_s == 2.0
    rates[0] = None
    await throttle.spend(1 << 30)
    assert trio.current_time() - began_s == 2.0
