"""An operator's orders to peers of a running swarm, in the order of one evening: away, another zone."""

import time
from collections.abc import Iterator, Sequence

import pytest

from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import counts, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PICTURES = 12
REPAIR_AFTER_S = 16.0
"""As short as may be: three heartbeats are 15 s."""
AWAY_S = 30.0
ROUNDS = 10
"""Of planning everything anew, after which nothing may move any more; two or three do."""
IMPATIENT = {"PINAKOTHEK_REPAIR_AFTER": f"{REPAIR_AFTER_S:.0f}s"}


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Peer]]:
    home = tmp_path_factory.mktemp("orders")
    with swarm(home, ("ada", "bob", "cyd", "dan"), env=IMPATIENT) as running:
        pictures = make_pictures(PICTURES, home / "in", seed=71, width_px=320, height_px=240)
        running[0].call("add", "--replicas", "2:3", *map(str, pictures))
        wait_until_settled(running, PICTURES, timeout_s=150)
        at_rest(running)
        yield running


def at_rest(peers: Sequence[Peer]) -> None:
    """Have everything planned anew until no copy moves: what came by small changes is balanced in a pass over all."""
    before: dict[str, int] = {}
    for _ in range(ROUNDS):
        now = roots_by_name(peers[0])
        if now == before:
            return
        before = now
        for words, state in ((("--for", "1h"), "away"), (("--off",), "active")):
            peers[-1].call("maintenance", *words)
            wait_until(lambda s=state: saw(peers[0], peers[-1].name)[0] == s, timeout_s=60, what=state)  # type: ignore[misc]
        wait_until(lambda: nothing_is_to_move(peers), timeout_s=150, what="nothing is to move")
        wait_until_settled(peers, PICTURES, timeout_s=150)
    raise AssertionError(f"copies move still: {before}, {roots_by_name(peers[0])}")


def nothing_is_to_move(peers: Sequence[Peer]) -> bool:
    """Each has planned anew, and has nothing to do."""
    planned = [peer.one("repair") for peer in peers]
    return all((row["fetches"], row["releases"]) == (0, 0) for row in planned)


def roots_by_name(peer: Peer) -> dict[str, int]:
    return {row["name"]: row["roots"] for row in peer.rows("peers")}


def saw(peer: Peer, name: str) -> tuple[str, str]:
    """What a peer says of itself, and how `peer` sees it."""
    row = next(row for row in peer.rows("peers") if row["name"] == name)
    return row["state"], row["sees"]


def everyone_is_settled(peers: Sequence[Peer]) -> None:
    wait_until_settled(peers, PICTURES, timeout_s=150)


def test_a_peer_in_maintenance_is_not_replaced_though_it_is_stopped(peers: list[Peer]) -> None:
    ada, *_, dan = peers
    before = roots_by_name(ada)
    assert before["dan"], "dan holds nothing: choose another seed"
    row = dan.one("maintenance", "--for", f"{AWAY_S:.0f}s")
    assert row["state"] == "away"
    start_s = time.monotonic()
    wait_until(lambda: saw(ada, "dan")[0] == "away", timeout_s=AWAY_S / 2, what="ada hears that dan is away")
    assert dan.stop() == 0

    def is_missed_for_long() -> bool:
        """Longer silent than anybody may be, and still nobody copies."""
        assert roots_by_name(ada) == before
        return time.monotonic() >= start_s + REPAIR_AFTER_S + 2 and saw(ada, "dan") == ("away", "suspect")

    wait_until(is_missed_for_long, timeout_s=AWAY_S + REPAIR_AFTER_S, what="dan is missed", every_s=1)
    assert counts(ada)["at_target"] == PICTURES

    wait_until(lambda: saw(ada, "dan")[1] == "down", timeout_s=AWAY_S + 60, what="the absence ends")
    everyone_is_settled(peers[:3])
    assert sum(n for name, n in roots_by_name(ada).items() if name != "dan") == 3 * PICTURES


def test_it_is_away_still_after_a_restart_and_back_when_told(peers: list[Peer]) -> None:
    ada, *_, dan = peers
    dan.start()
    dan.call("maintenance", "--for", "1h")
    assert dan.stop() == 0
    dan.start()
    assert dan.one("status")["state"] == "away"
    assert dan.one("maintenance", "--off") == {"state": "active", "away_until": None}
    wait_until(lambda: saw(ada, "dan") == ("active", "alive"), timeout_s=60, what="ada sees dan back")
    everyone_is_settled(peers)


def test_copies_move_when_a_peer_is_told_its_zone(peers: list[Peer]) -> None:
    ada = peers[0]
    roots = roots_by_name(ada)
    moved = min(peers[1:], key=lambda peer: roots[peer.name])
    assert roots[moved.name] < PICTURES
    moved.call("zone", "set", "hamburg")
    assert moved.one("status")["zone"] == "hamburg"
    # The others share a zone, so that every picture has its one copy elsewhere here.
    wait_until(lambda: roots_by_name(moved)[moved.name] == PICTURES, timeout_s=150, what="it holds everything")
    everyone_is_settled(peers)
    assert {row["name"]: row["zone"] for row in ada.rows("peers")}[moved.name] == "hamburg"
    [setting] = [row for row in moved.rows("config", "show") if row["name"] == "zone"]
    assert setting == {"name": "zone", "value": "hamburg", "source": "config.toml"}


def test_a_drained_peer_leaves_once_everything_has_its_copies_elsewhere(peers: list[Peer]) -> None:
    ada, bob, cyd, dan = peers
    at_rest(peers)
    planned = dan.rows("drain", "--dry-run")
    before = roots_by_name(ada)
    assert {len(row["to"]) for row in planned} == {1}
    held_elsewhere = PICTURES * 3 - before["dan"]
    assert len(planned) == PICTURES * 3 - held_elsewhere

    rows = dan.rows("drain")
    assert rows[0]["state"] == "draining"
    assert rows[-1]["state"] == "left"
    everyone_is_settled((ada, bob, cyd))
    after = roots_by_name(ada)
    assert {name: after[name] for name in ("ada", "bob", "cyd")} == dict.fromkeys(("ada", "bob", "cyd"), PICTURES)
    assert after["dan"] == before["dan"], "it let something go"
    wait_until(lambda: saw(ada, "dan")[1] == "left", timeout_s=60, what="ada knows that dan left")
    assert dan.one("status")["state"] == "leaving"
    assert dan.run("drain").returncode == 5
    assert dan.stop() == 0


def test_a_peer_that_left_comes_back_with_a_new_invite_and_what_it_holds(peers: list[Peer]) -> None:
    ada, bob, cyd, dan = peers
    line = ada.one("invite")["invite"]
    again = bob.run("init", "--join", line)
    assert again.returncode == 1
    assert "a peer is here already" in again.stderr
    before = dan.peer_id
    assert dan.one("init", "--join", line)["peer_id"] == before
    dan.start()
    wait_until(lambda: saw(ada, "dan") == ("active", "alive"), timeout_s=60, what="ada sees dan back")
    everyone_is_settled(peers)
    assert dan.rows("drain")[-1]["state"] == "left"
    assert dan.stop() == 0
    everyone_is_settled((ada, bob, cyd))


def test_a_drain_that_cannot_end_is_refused_and_one_to_the_minimum_ends(peers: list[Peer]) -> None:
    ada, bob, cyd, _ = peers
    for words in (("drain",), ("drain", "--dry-run")):
        done = cyd.run(*words)
        assert done.returncode == 5
        assert "12 roots have too few keepers elsewhere; one of them is to have 3 copies" in done.stderr
        assert "1 peer is missing" in done.stderr
    assert cyd.one("status")["state"] == "active"
    assert cyd.rows("drain", "--to-min")[-1]["state"] == "left"
    wait_until(lambda: saw(ada, "cyd")[1] == "left", timeout_s=60, what="ada knows that cyd left")
    now = counts(bob)
    assert (now["below_min"], now["below_target"]) == (0, PICTURES)


def test_what_lacks_copies_is_told_with_the_planners_reason(peers: list[Peer]) -> None:
    ada = peers[0]
    rows = ada.rows("repair", "--dry-run")
    assert {(row["state"], row["copies"], row["min"], row["max"]) for row in rows} == {("below_target", 2, 2, 3)}
    assert len(rows) == PICTURES
    assert {row["reason"] for row in rows} == {ada.one("show", rows[0]["root"])["reason"]}
    [reason] = ada.one("status")["reasons"]
    assert (reason["state"], reason["roots"], reason["why"]) == ("below_target", PICTURES, rows[0]["reason"])
    assert ada.rows("rebalance", "--dry-run") == []
    tried = ada.one("repair", "--now")
    assert (tried["fetches"], tried["degraded"], tried["written_off"]) == (0, 0, [])
