"""Bugs planted in planner and view, one at a time: the checks must notice each, and pass without it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from unittest.mock import patch

import numpy as np
import pytest

from node.replication import links, planner
from protocol.beat import HoldingsSummary
from protocol.holdings import HoldingsBook, digest_of
from protocol.holdings_messages import Change, Element, HoldingsDelta
from protocol.identity import PeerId
from tests.sim.test_view_level import check, lived
from tests.sim.view_level.churn import Rates
from tests.sim.view_level.side import Releases, Side
from tests.sim.view_level.swarm import Setting
from tests.swarm_views import peer, root, swarm
from tests.unit.test_planner_properties import check_plan, check_rest

STORY = Setting(seed=5, peers=20, images=600, months=0.25, rates=Rates(deaths=1.0, disk_losses=4.0))


def zones_in_random_views() -> None:
    peers = [peer(name, zone=zone) for name, zone in zip("abcdef", "xxxyyz", strict=True)]
    check_rest(peers, [root(f"r{number}", "2:3", "a") for number in range(20)])


def releases_in_random_views() -> None:
    peers = [peer(name) for name in "abcde"]
    for name in "abcde":
        for number in range(10):
            check_plan(swarm(name, peers, [root(f"r{number}", "2:3", "abcde")]))


def months() -> None:
    check(lived(STORY))


def epochs_of_holdings() -> None:
    """A peer loses its disk: it begins a new epoch with an empty set, and the others forget the old one."""
    book, owner, elements = (
        HoldingsBook(),
        PeerId("12D3KooWowner"),
        [Element(bytes([n]) * 36, "ipfs") for n in range(3)],
    )
    changes = tuple(Change(element.root, element.kind, True) for element in elements)
    after = HoldingsSummary(epoch=1, seq=3, count=3, digest=digest_of(elements))
    book.on_delta(owner, HoldingsDelta(after=after, changes=changes), 0.0)
    assert book.holders(elements[0].root, "ipfs") == {owner}
    anew = HoldingsSummary(epoch=2, seq=0, count=0, digest=digest_of([]))
    book.on_summary(owner, anew, 1.0)
    assert book.of(owner).wants_snapshot(10.0)
    book.on_snapshot(owner, anew, [], 10.0)
    assert book.holders(elements[0].root, "ipfs") == frozenset()


@contextmanager
def zones_forgotten() -> Iterator[None]:
    """Copies go where they are cheapest."""

    def cheapest(order: Iterable[int], zones: Sequence[str], count: int, **facts: object) -> list[int]:
        among = facts["among"]
        assert callable(among)
        return [slot for slot in order if among(slot)][:count]

    with patch("node.replication.weighing.spread", cheapest):
        yield


@contextmanager
def zones_forgotten_in_columns() -> Iterator[None]:
    with patch("node.replication.facts.zone_numbers", lambda zones: [0] * len(zones)):
        yield


@contextmanager
def one_lease_too_few() -> Iterator[None]:
    real = links.lessors
    with patch.object(planner, "lessors", lambda roster, one: real(roster, one)[:-1]):
        yield


@contextmanager
def one_lease_too_few_in_months() -> Iterator[None]:
    real = Side.releases

    def fewer(self: Side, acting: np.ndarray) -> Releases:
        found = real(self, acting)
        return found._replace(ask=found.ask[:-1])

    with patch.object(Side, "releases", fewer):
        yield


@contextmanager
def epoch_forgotten() -> Iterator[None]:
    """Statements are ordered by their number alone."""

    def by_number(summary: HoldingsSummary) -> tuple[int, int]:
        return 0, summary.seq

    with patch.object(HoldingsSummary, "order", property(by_number)):
        yield


@contextmanager
def epoch_forgotten_in_months() -> Iterator[None]:
    """Only what a peer adds is taken over: what it lost with its disk is believed for ever."""
    real = Side.hear

    def added_only(self: Side, peers: np.ndarray, images: np.ndarray, *, held: bool) -> None:
        lost_disk = not held and len(images) > 10 and len(set(peers.tolist())) == 1
        if not lost_disk:
            real(self, peers, images, held=held)

    with patch.object(Side, "hear", added_only):
        yield


PLANTED = [
    (zones_in_random_views, zones_forgotten),
    (months, zones_forgotten_in_columns),
    (releases_in_random_views, one_lease_too_few),
    (months, one_lease_too_few_in_months),
    (epochs_of_holdings, epoch_forgotten),
    (months, epoch_forgotten_in_months),
]


@pytest.mark.parametrize(("checked", "planted"), PLANTED, ids=lambda one: one.__name__)
def test_it_is_noticed(checked: Callable[[], None], planted: Callable[[], AbstractContextManager[None]]) -> None:
    with planted(), pytest.raises((AssertionError, ValueError)):
        checked()


@pytest.mark.parametrize("checked", dict.fromkeys(checked for checked, _ in PLANTED), ids=lambda one: one.__name__)
def test_without_it_all_is_well(checked: Callable[[], None]) -> None:
    checked()
