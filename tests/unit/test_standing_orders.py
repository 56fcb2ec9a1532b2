"""Orders outlast the daemon, and an absence ends by itself, which is noticed once."""

from pathlib import Path

import pytest

from node import standing_orders
from node.standing_orders import StandingOrders
from store.store import Store

NOON_MS = 1_780_000_000_000


class Wall:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.ms = NOON_MS

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(standing_orders, "wall_ms", wall)
    return wall


def test_orders_outlast_the_daemon(tmp_path: Path, wall: Wall) -> None:
    store = Store.open(tmp_path)
    orders = StandingOrders(store)
    assert (orders.away_until_ms, orders.drain_to) == (None, None)
    orders.write_away(NOON_MS + 1000)
    orders.write_drain("min")
    store.close()

    store = Store.open(tmp_path)
    orders = StandingOrders(store)
    assert (orders.away_until_ms, orders.drain_to) == (NOON_MS + 1000, "min")
    orders.write_away(None)
    orders.write_drain(None)
    assert (StandingOrders(store).away_until_ms, StandingOrders(store).drain_to) == (None, None)
    store.close()


def test_an_absence_ends_by_itself_and_is_told_once(tmp_path: Path, wall: Wall) -> None:
    store = Store.open(tmp_path)
    orders = StandingOrders(store)
    told: list[int | None] = []
    orders.listeners.append(lambda: told.append(orders.away_until_ms))
    orders.write_away(NOON_MS + 1000)
    orders.changed()
    assert [orders.look(), orders.look()] == [False, False]
    wall.ms += 1000
    assert [orders.look(), orders.look()] == [True, False]
    assert told == [NOON_MS + 1000, None]
    store.close()


def test_one_that_ended_while_the_daemon_was_stopped_is_over(tmp_path: Path, wall: Wall) -> None:
    store = Store.open(tmp_path)
    StandingOrders(store).write_away(NOON_MS + 1000)
    wall.ms += 5000
    orders = StandingOrders(store)
    assert orders.away_until_ms is None
    assert not orders.look()
    store.close()
