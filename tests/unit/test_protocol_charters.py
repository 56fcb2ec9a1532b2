"""Who governs: charters that follow and fork, and invites that admit (DESIGN §6)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.amending import amended, differences, with_steward
from protocol.author import Author
from protocol.errors import Reason, Refused
from protocol.founding import found_swarm
from protocol.identity import KeyPair
from protocol.invite import admit, make_invite, parse_invite
from protocol.limits import MS_PER_DAY
from protocol.records import (
    CURATOR,
    KEEPER,
    Admission,
    Charter,
    Expulsion,
    Record,
    Signed,
    sign_record,
)
from protocol.recordset import RecordSet
from protocol.stamp import Stamp

PEERS = [KeyPair(bytes([n]) * 32) for n in range(1, 6)]
STEWARD, RECOVERY, SECOND_STEWARD = (KeyPair(bytes([n]) * 32) for n in (101, 102, 103))
T0 = 1_800_000_000_000 // MS_PER_DAY * MS_PER_DAY
FOUNDING = found_swarm(PEERS[0].peer_id, STEWARD, RECOVERY.peer_id, name="test", now_ms=T0)
ROOTS = [b"\x01\x55\x12\x20" + bytes([n]) * 32 for n in range(8)]


def swarm(*records: Signed[Record], now_ms: int = T0 + 1000) -> RecordSet:
    found = RecordSet(FOUNDING.swarm)
    for signed in (*FOUNDING.records, *records):
        found.merge(signed, now_ms)
    found.due(now_ms)
    return found


def at(ms: int, record: Record, key: KeyPair) -> Signed[Record]:
    return sign_record(replace(record, stamp=Stamp(T0 + ms, 0)), key)


def admission(key: KeyPair, *roles: str) -> Admission:
    return Admission(peer=key.peer_id, roles=roles)


# -- charters -------------------------------------------------------------------------------------------------------------


def successor(name: str, *previous: Signed[Record], **fields: object) -> Charter:
    number = 1 + max(signed.record.number for signed in previous)  # type: ignore[union-attr]
    values = {"stewards": (STEWARD.peer_id,), "recovery": RECOVERY.peer_id, **fields}
    return Charter(number=number, previous=tuple(s.digest for s in previous), name=name, **values)  # type: ignore[arg-type]


def test_charters_follow_one_another_and_strangers_sign_none() -> None:
    first = FOUNDING.records[0]
    second = at(1, successor("second", first), STEWARD)
    third = at(2, successor("third", second), STEWARD)
    records = swarm(third)
    assert records.charter == first.record
    assert records.merge(second, T0).changes.charter
    assert records.charter == third.record
    records.merge(at(3, successor("fourth", third), PEERS[0]), T0)
    assert records.charter == third.record
    assert not records.forked


def test_a_fork_goes_to_the_lower_hash_until_a_charter_names_both() -> None:
    first = FOUNDING.records[0]
    one, other = (at(1, successor(name, first), STEWARD) for name in ("one", "other"))
    records = swarm(one, other)
    assert records.forked
    assert records.charter == min(one, other, key=lambda signed: signed.digest).record
    winner, loser = sorted((one, other), key=lambda signed: signed.digest)
    records.merge(at(2, successor("in vain", loser, winner), STEWARD), T0)
    assert records.charter == winner.record
    healed = at(2, amended(records.charters, name="healed"), STEWARD)
    assert healed.record.previous[0] == winner.digest  # type: ignore[union-attr]
    records.merge(healed, T0)
    assert records.charter == healed.record
    assert not records.forked


def test_only_the_recovery_key_removes_a_steward_and_nobody_forks_behind_it() -> None:
    first = FOUNDING.records[0]
    both = at(1, successor("both", first, stewards=(STEWARD.peer_id, SECOND_STEWARD.peer_id)), STEWARD)
    records = swarm(both, at(2, successor("coup", both, stewards=(SECOND_STEWARD.peer_id,)), SECOND_STEWARD))
    assert records.charter == both.record
    removal = at(3, successor("removal", both, stewards=(SECOND_STEWARD.peer_id,)), RECOVERY)
    behind = [at(4 + n, successor(f"behind {n}", both, stewards=both.record.stewards), STEWARD) for n in range(8)]  # type: ignore[union-attr]
    for signed in (*behind, removal):
        records.merge(signed, T0)
    assert records.charter == removal.record
    assert not records.is_steward(STEWARD.peer_id)
    records.merge(at(20, admission(PEERS[1], KEEPER), STEWARD), T0)
    assert not records.is_member(PEERS[1].peer_id)
    assert records.is_member(PEERS[0].peer_id)


def test_a_removed_steward_keeps_no_fork_open() -> None:
    first = FOUNDING.records[0]
    both = at(1, successor("both", first, stewards=(STEWARD.peer_id, SECOND_STEWARD.peer_id)), STEWARD)
    removal = at(2, successor("removal", both, stewards=(SECOND_STEWARD.peer_id,)), RECOVERY)
    behind = [at(3 + n, successor(f"behind {n}", both, stewards=both.record.stewards), STEWARD) for n in range(9)]  # type: ignore[union-attr]
    records = swarm(both, removal, *behind)
    assert records.charter == removal.record
    assert len(records.charters.unsettled) == 9
    for ms in (20, 21):
        assert records.forked
        records.merge(at(ms, amended(records.charters), SECOND_STEWARD), T0)
    assert not records.forked
    assert records.charter is not None
    assert records.charter.stewards == (SECOND_STEWARD.peer_id,)
    assert not records.is_steward(STEWARD.peer_id, Stamp(T0 + 2, 0))
    assert records.is_steward(STEWARD.peer_id, Stamp(T0 + 1, 9))


def test_a_settled_branch_does_not_win_by_a_later_recovery() -> None:
    """The recovery key's word counts for the branch that its charter follows, not for those that the branch settles."""
    first = FOUNDING.records[0]
    both = at(1, successor("both", first, stewards=(STEWARD.peer_id, SECOND_STEWARD.peer_id)), STEWARD)
    removal = at(2, successor("removal", both, stewards=(SECOND_STEWARD.peer_id,)), RECOVERY)
    lower = next(
        signed
        for n in range(64)
        if (signed := at(3, successor(f"{n}", both, stewards=both.record.stewards), STEWARD)).digest < removal.digest  # type: ignore[union-attr]
    )
    records = swarm(both, removal, lower)
    records.merge(at(4, amended(records.charters), SECOND_STEWARD), T0)
    records.merge(at(5, amended(records.charters, name="again"), RECOVERY), T0)
    assert [charter.name for charter in records.charters.branch][2] == "removal"
    assert not records.is_steward(STEWARD.peer_id, Stamp(T0 + 4, 0))


def test_the_recovery_key_brings_a_steward_back() -> None:
    records = swarm()
    assert records.charter is not None
    stewards = with_steward(records.charter, SECOND_STEWARD.peer_id)
    for key, counts in ((SECOND_STEWARD, False), (PEERS[0], False), (RECOVERY, True)):
        records.merge(at(9, amended(records.charters, stewards=stewards), key), T0)
        assert records.is_steward(SECOND_STEWARD.peer_id) == counts
    for n in range(14):
        stewards = with_steward(records.charter, KeyPair(bytes([200 + n]) * 32).peer_id)
        records.merge(at(10 + n, amended(records.charters, stewards=stewards), SECOND_STEWARD), T0)
    with pytest.raises(Refused):
        with_steward(records.charter, PEERS[1].peer_id)
    assert with_steward(records.charter, STEWARD.peer_id) == records.charter.stewards


def test_what_a_loser_said_can_be_named() -> None:
    one, other = (at(1, successor(name, FOUNDING.records[0], trash_days=7), STEWARD) for name in ("one", "other"))
    assert differences(one.record, other.record) == {"name": "other"}  # type: ignore[arg-type]


# -- invites ----------------------------------------------------------------------------------------------------------------


def invite_line(uses: int = 1, expires_ms: int = T0 + 10_000, steward: KeyPair = STEWARD) -> str:
    return make_invite(
        Author(steward),
        swarm=FOUNDING.swarm,
        secret=bytes(range(32)),
        addrs=("/ip4/127.0.0.1/tcp/4001/p2p/" + PEERS[0].peer_id,),
        roles=(CURATOR, KEEPER),
        uses=uses,
        expires_ms=expires_ms,
        now_ms=T0,
    )


def redeem(
    records: RecordSet, line: str, joiner: KeyPair, ms: int, host: KeyPair = PEERS[0]
) -> Signed[Admission] | None:
    certificate, redemption = parse_invite(line).redeem(joiner.peer_id)
    return admit(
        records, Author(host), peer=joiner.peer_id, certificate=certificate, redemption=redemption, now_ms=T0 + ms
    )


def test_an_invite_admits_as_many_as_it_is_for() -> None:
    records, line = swarm(), invite_line(uses=2)
    for key in PEERS[1:3]:
        signed = redeem(records, line, key, 100)
        assert signed is not None
        assert records.merge(signed, T0).changed_roles
        assert redeem(records, line, key, 200) is None
    with pytest.raises(Refused) as caught:
        redeem(records, line, PEERS[3], 300)
    assert caught.value.reason is Reason.USED_UP
    assert len(records.members()) == 3


def test_an_invite_used_too_often_on_both_sides_of_a_split_admits_the_first() -> None:
    line = invite_line()
    one, other = swarm(), swarm()
    late, early = redeem(one, line, PEERS[1], 200), redeem(other, line, PEERS[2], 100)
    assert late is not None
    assert early is not None
    for records in (one, other):
        records.merge(late, T0)
        records.merge(early, T0)
    assert one.digest == other.digest
    assert one.members() == tuple(sorted((PEERS[0].peer_id, PEERS[2].peer_id)))


def test_redeeming_again_elsewhere_does_not_cost_a_place() -> None:
    line = invite_line()
    first, again = redeem(swarm(), line, PEERS[1], 100), redeem(swarm(), line, PEERS[1], 300, host=PEERS[4])
    rival = redeem(swarm(), line, PEERS[2], 200)
    assert first is not None
    assert again is not None
    assert rival is not None
    for order in ((first, again, rival), (rival, again, first)):
        records = swarm(*order)
        assert records.is_member(PEERS[1].peer_id)
        assert not records.is_member(PEERS[2].peer_id)


def test_invites_end_and_need_a_steward() -> None:
    for line, ms, reason in (
        (invite_line(), 10_001, Reason.EXPIRED),
        (invite_line(steward=PEERS[1]), 100, Reason.NOT_ALLOWED),
    ):
        with pytest.raises(Refused) as caught:
            redeem(swarm(), line, PEERS[2], ms)
        assert caught.value.reason is reason


def test_an_expelled_peer_cannot_use_the_rest_of_an_old_invite() -> None:
    line = invite_line(uses=5)
    records = swarm()
    records.merge(redeem(records, line, PEERS[1], 100), T0)  # type: ignore[arg-type]
    records.merge(at(200, Expulsion(peer=PEERS[1].peer_id), STEWARD), T0)
    with pytest.raises(Refused):
        redeem(records, line, PEERS[1], 300)
    assert not records.is_member(PEERS[1].peer_id)


def test_a_redemption_is_for_one_peer_only() -> None:
    certificate, redemption = parse_invite(invite_line()).redeem(PEERS[1].peer_id)
    with pytest.raises(Refused) as caught:
        admit(
            swarm(), Author(PEERS[0]), peer=PEERS[2].peer_id, certificate=certificate, redemption=redemption, now_ms=T0
        )
    assert caught.value.reason is Reason.BAD_SIGNATURE


@given(st.data())
def test_a_damaged_invite_is_refused_with_a_reason(data: st.DataObject) -> None:
    line = invite_line()
    place = data.draw(st.integers(0, len(line) - 1))
    damaged = data.draw(
        st.sampled_from([line[:place], line[:place] + line[place + 1 :], line[:place] + "!" + line[place + 1 :]])
    )
    with pytest.raises(Refused) as caught:
        parse_invite(damaged)
    assert caught.value.reason is Reason.DAMAGED


def test_line_breaks_in_an_invite_do_not_matter() -> None:
    line = invite_line()
    found = parse_invite(f"  {line[:80]}\n  {line[80:]}\n")
    assert found.certificate_raw == parse_invite(line).certificate_raw
    assert found.addrs == ("/ip4/127.0.0.1/tcp/4001/p2p/" + PEERS[0].peer_id,)
    assert found.swarm_id == FOUNDING.swarm_id
