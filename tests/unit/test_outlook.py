"""The outlook after many passes over some roots is that of one pass over all."""

from collections import Counter
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from node.replication.outlook import AT_REST, Outlook
from node.replication.planner import Action, Fetch, Plan, Release, Urgency
from node.replication.view import RootKey
from node.replication.weighing import Standing

KEYS = [RootKey(bytes([number]), "ipfs") for number in range(6)]
STANDINGS: tuple[Standing, ...] = get_args(Standing)
passes = st.lists(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(STANDINGS), min_size=1), max_size=8)


def action(key: RootKey, standing: Standing) -> Action | None:
    if standing in ("below_min", "below_target"):
        return Fetch(
            root=key.root, kind=key.kind, sources=(), reason="", urgency=Urgency.REPAIR, copies=1,
            size_bytes=1 + key.root[0],
        )  # fmt: skip
    if standing == "above_target":
        return Release(root=key.root, kind=key.kind, ask=(), max=1, reason="")
    return None


def plan(standings: dict[RootKey, Standing]) -> Plan:
    actions = [action(key, standing) for key, standing in standings.items()]
    return Plan(actions=tuple(each for each in actions if each is not None), standing_of=standings)


@given(first=passes.map(lambda all_: all_[0] if all_ else {}), later=passes)
def test_passes_over_some_roots_add_up(first: dict[RootKey, Standing], later: list[dict[RootKey, Standing]]) -> None:
    outlook, whole = Outlook(), Outlook()
    outlook.take_all(plan(first))
    known = dict(first)
    for some in later:
        outlook.take(plan(some), some.keys())
        known |= some
    whole.take_all(plan(known))

    assert +outlook.counts == +whole.counts == Counter(s for s in known.values() if s != "unwanted")
    assert outlook.actions == whole.actions
    assert outlook.fetch_bytes == whole.fetch_bytes
    for standing in STANDINGS:
        listed = outlook.keys_of(standing)
        assert len(listed) == len(set(listed))
        assert set(listed) == set(whole.keys_of(standing))
        assert standing in AT_REST or set(listed) == {key for key in known if known[key] == standing}
    for key in KEYS:
        assert outlook.standing_of(key) == whole.standing_of(key)


def test_a_root_that_a_pass_no_longer_speaks_of_is_gone() -> None:
    outlook = Outlook()
    outlook.take_all(plan({KEYS[0]: "below_min"}))
    outlook.take(Plan(), [KEYS[0]])
    assert outlook.standing_of(KEYS[0]) is None
    assert +outlook.counts == Counter()
    assert outlook.keys_of("below_min") == []
    assert outlook.fetch_bytes == 0


def test_listeners_hear_which_roots_a_pass_was_about() -> None:
    outlook = Outlook()
    heard: list[list[RootKey]] = []
    outlook.listeners.append(lambda keys: heard.append(list(keys)))
    outlook.announce(KEYS[:2])
    assert heard == [KEYS[:2]]
