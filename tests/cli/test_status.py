"""What `status` says first, for each state that a swarm can be in."""

from typing import Any

import click
import pytest

from node.cli.status import bar, health, screen

IMAGES = dict.fromkeys(
    ("total", "below_min", "below_target", "at_target", "above_target", "sought", "lost", "trashed"), 0
)


def status(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "peer_id": "12D3KooWAda",
        "name": "ada",
        "version": "0.1.0",
        "data_dir": "/data",
        "addrs": [],
        "state": "active",
        "zone": "",
        "uptime_s": 61.0,
        "images": IMAGES,
        "peers": {"alive": 3, "suspect": 0, "down": 0, "left": 0},
        "store": {"used_bytes": 0, "capacity_bytes": 1024, "free_bytes": 1024},
        "work": {"queued": 0, "running": 0, "failed": 0},
        "gateway": None,
        "alerts": [],
        "away_until": None,
        "repair": {"roots": 0, "bytes": 0, "bytes_per_s": None, "eta_s": None},
        "reasons": [],
    }
    for name, change in changes.items():
        base[name] = {**base[name], **change} if isinstance(change, dict) else change
    return base


MASS_LOSS = [{"check": "mass loss", "detail": "60 % of the capacity is gone"}]
ALONE = {"alive": 1, "suspect": 0, "down": 0, "left": 0}
SHORT = {"total": 3, "below_min": 2}


@pytest.mark.parametrize(
    ("changes", "colour", "sentence"),
    [
        ({}, "green", "ready, no images yet"),
        ({"images": {"total": 1204, "at_target": 1204}}, "green", "all copies are there: 1,204 images"),
        ({"images": {"total": 1, "below_target": 1}}, "green", "every image is safe, 1 could have more copies"),
        ({"images": SHORT, "peers": ALONE}, "yellow", "2 images below the minimum of copies: this peer is alone"),
        ({"images": SHORT, "work": {"running": 1}}, "yellow", "repair is running"),
        ({"images": SHORT, "work": {"running": 1}, "repair": {"eta_s": 36.4}}, "yellow", "about 36 s left"),
        ({"images": SHORT, "peers": {"down": 1}}, "yellow", "1 peer gone"),
        ({"images": SHORT}, "yellow", "below the minimum of copies: other peers make them, or more peers are needed"),
        ({"images": {"total": 1, "sought": 1}}, "yellow", "1 image not found on any peer yet"),
        ({"state": "draining"}, "yellow", "this peer is draining"),
        ({"state": "away", "away_until": "noon"}, "yellow", "this peer is away until noon"),
        ({"alerts": MASS_LOSS}, "yellow", "mass loss: 60 % of the capacity is gone"),
        ({"alerts": MASS_LOSS, "images": {"total": 9, "lost": 1}}, "red", "1 image lost: no live peer holds a copy"),
    ],
)
def test_health_comes_first(changes: dict[str, Any], colour: str, sentence: str) -> None:
    found = health(status(**changes))
    assert found[0] == colour
    assert sentence in found[1]


def test_no_alert_is_left_out_or_told_twice() -> None:
    for images in ({}, {"lost": 1}):
        text = "\n".join(screen(status(alerts=MASS_LOSS, images=images)))
        assert text.count("mass loss") == 1


def test_the_bar_is_full_only_when_it_is() -> None:
    assert bar(0).count("█") == 0
    assert bar(0.0001).count("█") == 1
    assert bar(0.9999).count("░") == 1
    assert bar(1).count("░") == 0


def test_a_name_cannot_move_the_cursor() -> None:
    assert "\x1b]" not in "\n".join(screen(status(name="\x1b]0;evil\x07")))


def test_it_says_why_what_is_done_and_until_when_on_one_screen() -> None:
    reasons = [
        {
            "state": state,
            "roots": 1200,
            "why": "2 of 2:3 copies; " + "to be fetched by somebody, " * 9,
            "root": "b" * 59,
        }
        for state in ("lost", "sought", "below_min", "below_target", "above_target")
    ]
    repair = {"roots": 1200, "bytes": 3 << 30, "bytes_per_s": 50.0 * (1 << 20), "eta_s": 61.44}
    busy = status(
        reasons=reasons, repair=repair, alerts=MASS_LOSS, addrs=["/ip4/127.0.0.1/tcp/4801"],
        gateway="http://127.0.0.1:8480", images=dict.fromkeys(IMAGES, 1200), work={"running": 12, "queued": 1188},
        peers={"alive": 3, "suspect": 1, "down": 1, "left": 1},
    )  # fmt: skip
    lines = [click.unstyle(line) for line in screen(busy)]
    assert len(lines) <= 23
    assert any("1,200 copies to make here, 3.0 GiB at 50.0 MiB/s, done in about 1 min 1 s" in line for line in lines)
    whys = [line for line in lines if "2 of 2:3 copies" in line]
    assert len(whys) == 5
    assert all(len(line) <= 80 and line.endswith("…") for line in whys)
    few = [click.unstyle(line) for line in screen({**busy, "reasons": reasons[:2]})]
    assert sum(line.endswith("…") for line in few) == 2
    assert len(few) == len(lines) - 5 + 2 * 2, "two lines each"
