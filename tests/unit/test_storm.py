"""The storm guard: when it is on, what ends it, and that nobody is missed for ever."""

from hypothesis import given
from hypothesis import strategies as st

from node.replication.storm import EXCUSED, MEMORY_MS, PRESENT, LastSeen, StormGuard, seen_from
from node.replication.view import PeerState

NOW_MS = 1_800_000_000_000
SIZE = 100


def swarm(present: int, gone: int, state: PeerState = "suspect") -> list[tuple[str, PeerState, int]]:
    """Keepers of one size; those that are gone have sizes that nobody can tell any more."""
    alive: list[tuple[str, PeerState, int]] = [(f"p{n}", "alive", SIZE) for n in range(present)]
    return alive + [(f"p{n}", state, 0) for n in range(present, present + gone)]


def guard_of(peers: int) -> StormGuard:
    guard = StormGuard()
    assert not guard.look(swarm(peers, 0), NOW_MS).is_mass_loss
    return guard


def test_more_than_half_of_the_capacity_gone_is_a_mass_loss_and_half_is_not() -> None:
    assert guard_of(5).look(swarm(2, 3), NOW_MS + 1).is_mass_loss
    assert not guard_of(5).look(swarm(3, 2), NOW_MS + 1).is_mass_loss
    assert not guard_of(4).look(swarm(2, 2), NOW_MS + 1).is_mass_loss


def test_it_is_capacity_that_counts_not_heads() -> None:
    guard = StormGuard()
    guard.look([("small", "alive", 1), ("other", "alive", 1), ("giant", "alive", 100)], NOW_MS)
    assert guard.look([("small", "alive", 1), ("other", "alive", 1), ("giant", "down", 0)], NOW_MS + 1).is_mass_loss
    assert not guard.look(
        [("small", "down", 0), ("other", "down", 0), ("giant", "alive", 100)], NOW_MS + 2
    ).is_mass_loss


def test_no_boast_of_one_member_makes_a_mass_loss_of_a_larger_swarm() -> None:
    honest: list[tuple[str, PeerState, int]] = [(f"p{n}", "alive", SIZE) for n in range(5)]
    guard = StormGuard()
    guard.look([*honest, ("boaster", "alive", SIZE * 10**9)], NOW_MS)
    assert not guard.look([*honest, ("boaster", "down", 0)], NOW_MS + 1).is_mass_loss


def test_it_ends_when_enough_is_back() -> None:
    guard = guard_of(5)
    assert guard.look(swarm(2, 3, "down"), NOW_MS + 1).is_mass_loss
    assert not guard.look(swarm(3, 2, "down"), NOW_MS + 2).is_mass_loss


def test_whoever_left_or_said_that_it_goes_away_is_not_missed() -> None:
    for state in sorted(EXCUSED):
        assert not guard_of(5).look(swarm(2, 3, state), NOW_MS + 1).is_mass_loss


def test_after_a_day_what_is_gone_is_given_up() -> None:
    guard = guard_of(5)
    assert guard.look(swarm(2, 3, "down"), NOW_MS + MEMORY_MS).is_mass_loss
    assert not guard.look(swarm(2, 3, "down"), NOW_MS + MEMORY_MS + 1).is_mass_loss


def test_an_operator_writes_off_what_is_gone_until_it_is_seen_again() -> None:
    guard = guard_of(5)
    assert guard.look(swarm(2, 3), NOW_MS + 10).is_mass_loss
    guard.write_off(NOW_MS + 20, NOW_MS + 20)
    assert not guard.look(swarm(2, 3), NOW_MS + 30).is_mass_loss
    guard.look(swarm(5, 0), NOW_MS + 40)
    guard.write_off(NOW_MS + 20, NOW_MS + 50)  # said before they came back, heard of late
    assert guard.look(swarm(2, 3), NOW_MS + 60).is_mass_loss, "they have gone anew"


def test_a_word_of_yesterday_or_of_the_future_writes_nobody_off() -> None:
    for said_ms in (NOW_MS - MEMORY_MS - 1, NOW_MS + 1):
        guard = guard_of(5)
        guard.write_off(said_ms, NOW_MS)
        assert guard.look(swarm(2, 3), NOW_MS).is_mass_loss


def test_it_remembers_over_a_restart_and_bears_damage() -> None:
    before = guard_of(5)
    after = StormGuard(seen_from(before.to_bytes()))
    assert after.look(swarm(2, 3), NOW_MS + 1).is_mass_loss
    for raw in (None, b"", b"[]", b"null", b'{"p": 1}', b'{"p": ["x", 1]}', b"\xff"):
        assert seen_from(raw) == {}


def test_a_clock_that_was_put_back_leaves_nobody_missed() -> None:
    guard = StormGuard({f"p{n}": LastSeen(NOW_MS + MEMORY_MS, SIZE) for n in range(5)})
    assert not guard.look(swarm(2, 3, "down"), NOW_MS).is_mass_loss


states = st.sampled_from(sorted({*PRESENT, *EXCUSED, "suspect", "down", "cloned"}))


@given(st.lists(st.lists(states, min_size=6, max_size=6), min_size=1, max_size=8))
def test_only_peers_that_were_there_within_a_day_are_missed(story: list[list[PeerState]]) -> None:
    guard = StormGuard()
    was_there: set[str] = set()
    for at_ms, moment in enumerate(story, NOW_MS):
        keepers = [(f"p{n}", state, SIZE) for n, state in enumerate(moment)]
        loss = guard.look(keepers, at_ms)
        was_there |= {peer for peer, state, _ in keepers if state in PRESENT}
        was_there -= {peer for peer, state, _ in keepers if state in EXCUSED}
        assert set(loss.gone) == was_there - {peer for peer, state, _ in keepers if state in PRESENT}
        assert loss.known_bytes == SIZE * len(was_there)
