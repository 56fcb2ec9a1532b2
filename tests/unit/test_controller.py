"""The controller: what it takes in anew, what it hands on, and when it plans by itself."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, cast

import pytest
import trio
import trio.testing

from node.replication import controller as module
from node.replication.controller import Controller
from node.replication.planner import Fetch, Plan, Release
from node.replication.view import PeerView, RootKey, RootView, SwarmView, by_key
from node.replication.work import Work
from tests.swarm_views import peer, peers_named, root

CAPACITY = 1 << 40


class Believed:
    """Beliefs written down, and how often each root was asked for."""

    def __init__(self, me: str, peers: Iterable[PeerView], roots: Iterable[RootView]) -> None:
        self.me = me
        self.peers = {one.peer_id: one for one in peers}
        self.roots = by_key(roots)
        self.asked: list[RootKey] = []

    def all_roots(self) -> set[bytes]:
        return {key.root for key in self.roots}

    def keys_of(self, roots: Iterable[bytes]) -> list[RootKey]:
        return [key for key in self.roots if key.root in set(roots)]

    def root(self, key: RootKey) -> RootView:
        self.asked.append(key)
        return self.roots[key]

    def view(self, keys: Iterable[RootKey]) -> SwarmView:
        return SwarmView(me=self.me, peers=dict(self.peers), roots={key: self.roots[key] for key in keys})

    def signs(self) -> object:
        return [(one.state, one.full_kinds) for one in self.peers.values()]


class Followed:
    """An executor that only takes note."""

    def __init__(self) -> None:
        self.work = Work()
        self.plans: list[Plan] = []
        self.spoken_of: list[Collection[RootKey]] = []

    def follow(self, plan: Plan, planned: Collection[RootKey]) -> None:
        self.plans.append(plan)
        self.spoken_of.append(planned)

    @property
    def wanted(self) -> list[Fetch | Release]:
        return list(self.plans[-1].actions)


ROOTS = [root("r1", "2:2", "bc"), root("r2", "2:2", "b"), root("r3", "2:2", "bc"), root("r4", "2:2", "bd")]
PLANNED_S = 1.0


def made(believed: Believed) -> tuple[Controller, Followed]:
    executor = Followed()
    return Controller(cast("Any", believed), cast("Any", executor)), executor


async def test_a_change_of_peers_takes_no_root_in_again(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    believed = Believed("a", peers_named("abcd"), ROOTS)
    controller, executor = made(believed)
    nursery.start_soon(controller.run)
    await trio.sleep(PLANNED_S)
    assert sorted(believed.asked) == sorted(believed.roots)
    assert +controller.standings == {"at_target": 3, "below_min": 1}
    believed.asked.clear()
    believed.peers["c"] = peer("c", "down")
    controller.replan(None)
    await trio.sleep(PLANNED_S)
    assert believed.asked == []
    assert +controller.standings == {"at_target": 1, "below_min": 3}
    assert len(executor.plans) == 2


async def test_a_root_that_changes_is_taken_in_alone_and_one_that_nobody_wants_is_dropped(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    believed = Believed("a", peers_named("abcd"), ROOTS)
    controller, _ = made(believed)
    heard: list[set[RootKey]] = []
    controller.outlook.listeners.append(lambda keys: heard.append(set(keys)))
    nursery.start_soon(controller.run)
    await trio.sleep(PLANNED_S)
    believed.asked.clear()
    believed.roots[ROOTS[1].key] = replace(ROOTS[1], holders=frozenset("bc"))
    del believed.roots[ROOTS[0].key]
    controller.replan([ROOTS[0].root, ROOTS[1].root])
    await trio.sleep(PLANNED_S)
    assert believed.asked == [ROOTS[1].key]
    assert heard[-1] == {ROOTS[0].key, ROOTS[1].key}
    assert controller.standing_of(ROOTS[0].key) is None
    assert +controller.standings == {"at_target": 3}


async def test_what_time_brings_is_noticed_at_a_tick(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    believed = Believed("a", peers_named("abcd"), ROOTS)
    controller, executor = made(believed)
    nursery.start_soon(controller.run)
    controller.tick()
    await trio.sleep(PLANNED_S)
    plans = len(executor.plans)
    controller.tick()
    await trio.sleep(PLANNED_S)
    assert len(executor.plans) == plans
    believed.peers["c"] = peer("c", "away")
    controller.tick()
    await trio.sleep(PLANNED_S)
    assert len(executor.plans) == plans + 1


async def test_what_a_plan_has_no_place_for_goes_on_and_what_is_called_off_ends(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACTIONS_AT_ONCE", 2)
    roots = [root(f"r{number}", "2:2", "b") for number in range(6)]
    believed = Believed("a", peers_named("ab"), roots)
    controller, executor = made(believed)
    waits, runs, ended = roots[0].key, roots[1].key, RootKey(b"gone" * 4, "ipfs")
    fetch = Fetch(
        root=runs.root, kind="ipfs", sources=("b",), reason="", urgency=cast("Any", 0), copies=1, size_bytes=1
    )
    executor.work.fetch_failed(replace(fetch, root=waits.root), "no luck", trio.current_time() + 1000)
    executor.work.fetches.put(runs, fetch, (0, 0, b""))
    executor.work.fetches.put(ended, fetch, (0, 0, b""))
    nursery.start_soon(controller.run)
    await trio.sleep(PLANNED_S)
    planned = {RootKey(action.root, action.kind) for action in executor.wanted}
    assert runs in planned, "it has begun"
    assert len(planned) == 3, "and two more"
    assert waits not in planned
    assert waits not in executor.spoken_of[-1], "its back-off goes on"
    assert ended in executor.spoken_of[-1]


async def test_moves_go_on_when_their_budget_is_filled_again(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    peers = [peer(name, zone=name, capacity_bytes=10_000) for name in "abc"]
    roots = [root(f"r{number}", "1:1", "b", size_bytes=100) for number in range(30)]
    believed = Believed("a", peers, roots)
    controller, executor = made(believed)
    nursery.start_soon(controller.run)
    await trio.sleep(PLANNED_S)
    first = len(executor.wanted)
    assert 0 < first < 5, "a hundredth of the capacity, the last one overdrawn"
    assert executor.plans[-1].moves_put_off
    await trio.sleep(6 * 3600)
    assert len(executor.wanted) > first
