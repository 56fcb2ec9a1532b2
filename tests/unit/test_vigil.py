"""Lost, sought and found roots are told once each; speed is that of the last minute with work."""

import pytest

from node.events import Events
from node.replication import vigil
from node.replication.outlook import Outlook
from node.replication.pace import WINDOW_S, Pace
from node.replication.survey import Survey
from node.replication.vigil import Vigil
from tests.swarm_views import peers_named, root, swarm


class Watched:
    """An outlook of three peers under a vigil; `plan` is a pass over what was put in."""

    def __init__(self) -> None:
        self.survey = Survey()
        self.outlook = Outlook(self.survey)
        self.events = Events()
        self.blocked: str | None = None
        self.vigil = Vigil(self.outlook, self.events, blocked=lambda: self.blocked)

    def plan(self) -> dict[str, int]:
        self.outlook.take(self.survey.plan(swarm("a", peers_named("abc"), [])))
        self.outlook.announce(self.survey.touched)
        self.vigil.look()
        return dict(self.events.counts)


def test_a_root_is_told_once_when_it_is_lost_and_when_it_is_found() -> None:
    watched = Watched()
    for name in ("r1", "r2"):
        watched.survey.put(root(name, "2:3", ""))
    assert watched.plan() == {"lost": 2}
    assert watched.plan() == {"lost": 2}
    watched.survey.put(root("r1", "2:3", "b"))
    assert watched.plan() == {"lost": 2, "found": 1}
    watched.survey.put(root("r1", "2:3", ""))
    assert watched.plan() == {"lost": 3, "found": 1}
    for name in ("r1", "r2"):
        watched.survey.drop(root(name, "2:3", "").key)
    assert watched.plan() == {"lost": 3, "found": 1}, "nobody wants it: not found"


def test_nothing_is_called_lost_before_the_others_are_heard() -> None:
    watched = Watched()
    watched.survey.put(root("r1", "2:3", ""))
    watched.blocked = "quiet after the start"
    assert watched.plan() == {}
    watched.blocked = None
    watched.vigil.look()
    assert dict(watched.events.counts) == {"lost": 1}


def test_of_very_many_the_rest_is_told_as_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vigil, "MOST_TOLD", 3)
    watched = Watched()
    for number in range(9):
        watched.survey.put(root(f"r{number}", "2:3", ""))
    assert watched.plan() == {"lost": 4}


def test_speed_is_that_of_the_last_minute_with_work() -> None:
    pace = Pace()
    pace.note(0, 0.0, busy=False)
    assert pace.bytes_per_s is None
    for second in range(200):
        pace.note(1000 * second, float(second), busy=True)
    assert pace.bytes_per_s == 1000
    assert pace.eta_s(60_000) == 60
    assert pace.eta_s(0) is None
    for second in range(200, 200 + int(WINDOW_S) + 2):
        pace.note(199_000, float(second), busy=True)
    assert pace.bytes_per_s is None, "nothing came for a minute"
    pace.note(199_000, 400.0, busy=False)
    pace.note(199_000, 500.0, busy=True)
    pace.note(209_000, 510.0, busy=True)
    assert pace.bytes_per_s == 1000, "idle time is not counted"


def test_many_sought_roots_are_not_looked_at_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vigil, "ROOTS_A_LOOK", 2)
    watched = Watched()
    for number in range(6):
        watched.survey.put(root(f"r{number}", "2:3", ""))
    assert watched.plan() == {"lost": 6}
    watched.survey.put(root("r0", "2:3", "b"))
    assert [watched.plan().get("found", 0) for _ in range(4)] == [0, 0, 0, 1]
