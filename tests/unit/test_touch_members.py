"""Who is there when a peer comes home: a majority of those who knew what it knew, or members that joined since."""

from dataclasses import replace

from protocol.identity import KeyPair
from protocol.limits import MS_PER_DAY
from protocol.records import CURATOR, KEEPER, Admission, Record, Signed, sign_record
from protocol.stamp import Stamp
from protocol.touch import PATIENCE_S, CompareWith, GoOn, SortOut, Touch, Wait, next_step, sort_out
from tests.unit.test_touch import FOUNDING, KEYS, STEWARD, T0, Peer, World, pin


def test_a_peer_whose_members_may_still_come_waits_for_them_an_hour() -> None:
    members = [key.peer_id for key in KEYS]
    one = {members[1]}
    assert next_step(members, one, set(), {}, 0.0) == CompareWith(members[1])
    asked: dict[str, list[Signed[Record]]] = {members[1]: []}
    assert isinstance(next_step(members, one, set(), asked, PATIENCE_S - 1), Wait)
    assert isinstance(next_step(members, one, set(), asked, PATIENCE_S), GoOn)
    assert isinstance(next_step(members, (), set(members[2:4]), asked, 0.0), GoOn), "no majority can have been in touch"
    asked |= {members[2]: [], members[3]: []}
    assert next_step(members, one, set(), asked, 0.0) == SortOut(())


def test_a_majority_lacks_it_only_if_all_of_them_do() -> None:
    first, second = (sign_record(replace(pin(n), stamp=Stamp(T0, n)), KEYS[0]) for n in (1, 2))
    members = [key.peer_id for key in KEYS[:3]]
    step = next_step(members, (), (), {members[1]: [first, second], members[2]: [second]}, 0.0)
    assert step == SortOut((second,))


def admitted(key: KeyPair, number: int) -> Signed[Record]:
    return sign_record(Admission(peer=key.peer_id, roles=(CURATOR, KEEPER), stamp=Stamp(T0 + number, 9)), STEWARD)


def test_members_who_joined_and_never_had_anything_put_nothing_aside() -> None:
    """A founder admits two, and is switched off before they catch up with it."""
    world = World(1)
    [founder] = world.peers
    world.add(founder, [founder])
    founder.look(world.now_ms)
    assert founder.agreement.touch.agreed_with == (founder.name,)
    admissions = [admitted(key, number) for number, key in enumerate(KEYS[1:3])]
    founder.take(admissions, world.now_ms)
    joined = [Peer(key, (*FOUNDING.records, *admissions), world.now_ms) for key in KEYS[1:3]]
    for _ in range(4):
        world.now_ms += 10 * MS_PER_DAY
        world.settle(joined)
    world.peers += joined
    world.settle(world.peers)
    assert all(peer.pins == {1} for peer in world.peers)
    assert founder.aside == {}


def test_a_majority_sorts_out_only_with_one_of_those_who_knew() -> None:
    members = [key.peer_id for key in KEYS]
    asked: dict[str, list[Signed[Record]]] = {peer: [] for peer in members[2:]}
    assert next_step(members, (), (), asked, 0.0, {members[2]}) == SortOut(())
    assert next_step(members, {members[1]}, (), asked, 0.0, {members[1]}) == CompareWith(members[1])
    assert next_step(members, {members[1]}, (), asked, 0.0, set(members[1:3])) == CompareWith(members[1]), "all of them"
    assert isinstance(next_step(members, (), (), asked, 0.0, {members[1]}), Wait), "it may still be heard"
    assert isinstance(next_step(members, (), (), asked, PATIENCE_S, {members[1]}), GoOn)
    assert isinstance(next_step(members, (), {members[1]}, asked, 0.0, {members[1]}), GoOn)
    assert isinstance(next_step(members, (), (), asked, 0.0, ()), GoOn), "it agreed with itself alone"
    assert next_step(members, set(members[1:4]), (), {}, 0.0, {members[3]}) == CompareWith(members[3]), "first"


def test_what_is_known_there_in_another_version_was_not_deleted() -> None:
    """A steward that was cut off has expelled a peer: what it signed anew has old stamps, and nobody has heard of it."""
    touch = Touch(T0, T0, Stamp(T0, 0), 0, ("me", "another"))
    anew, deleted = (sign_record(replace(pin(n), stamp=Stamp(T0 - 1, n)), STEWARD) for n in (1, 2))
    now_ms = T0 + 40 * MS_PER_DAY
    found = sort_out([anew, deleted], {STEWARD.peer_id}, touch, now_ms, {anew.key})
    assert [aside.signed for aside in found.aside] == [deleted]
    trashed = sign_record(replace(pin(1), stamp=Stamp(T0 + 1, 0), trashed_ms=T0 + 1), KEYS[0])
    found = sort_out([trashed], {KEYS[0].peer_id}, touch, now_ms, {trashed.key})
    assert found.renew == (trashed,), "a trashing that nobody saw is signed anew"
