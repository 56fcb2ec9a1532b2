"""A large swarm over months: nothing is lost by our own doing, and everything comes to rest with its copies in place."""

from dataclasses import replace

import pytest

from tests.sim.view_level import churn
from tests.sim.view_level.churn import Rates
from tests.sim.view_level.side import REPAIR_AFTER_S
from tests.sim.view_level.story import Story
from tests.sim.view_level.swarm import Setting

TINY = Setting(seed=3, peers=20, images=1500, months=0.5, rates=Rates(deaths=1.0, disk_losses=1.0, splits=4.0))
TWENTIETH = Setting(seed=3, months=24 / 20)


def lived(setting: Setting) -> Story:
    story = Story(setting)
    story.run()
    return story


def check(story: Story) -> None:
    """What has to hold of every run."""
    world = story.swarm.world
    assert world.lost_by_us == 0
    assert world.short_releases == 0
    assert story.settled_s is not None, "it never rests"
    assert (world.copies[~world.is_lost] == story.setting.high).all(), "what is counted is there"
    for side in story.swarm.sides:
        zones = [
            {facts.zone for number, facts in side.facts.items() if world.disk[number, image]} for image in range(50)
        ]
        assert all(len(used) == 3 for used, lost in zip(zones, world.is_lost[:50], strict=True) if not lost)


def test_months_of_churn_lose_nothing_by_release() -> None:
    story = lived(TINY)
    check(story)
    assert story.swarm.released > 1000, "the workload must release, or it shows nothing"
    assert story.swarm.refused > 100, "and ask peers that have not what they say"


def test_without_leases_the_same_seed_lets_needed_copies_go() -> None:
    story = lived(replace(TINY, with_leases=False))
    assert story.swarm.world.short_releases > 10


@pytest.mark.parametrize("lasts_s", [(60.0, 295.0), (1200.0, 3600.0)])
def test_only_blips_longer_than_repair_after_have_copies_made(
    lasts_s: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(churn, "BLIP_S", lasts_s)
    quiet = Rates(
        deaths=0, disk_losses=0, splits=0, blips=20
    )  # so few that no two are silent at once: none is below min
    story = lived(replace(TINY, false_share=0.0, rates=quiet))
    assert story.faults.count > 5
    is_long = lasts_s[0] > REPAIR_AFTER_S
    assert (story.swarm.moved_bytes > 0) == is_long
    assert (story.swarm.released > 0) == is_long
    assert story.below_min_s == 0
    assert story.settled_s is not None


def test_one_seed_gives_one_story() -> None:
    setting = replace(TINY, months=0.1)
    assert lived(setting).told() == lived(setting).told()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_twentieth_of_two_years_of_a_hundred_peers() -> None:
    check(lived(TWENTIETH))
    lost = lived(replace(TWENTIETH, with_leases=False, stop_at_loss=True))
    assert lost.swarm.world.lost_by_us > 0, "without leases images are lost, or the workload is too weak"
