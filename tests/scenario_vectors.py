"""Scenarios of shared state: signed records, and what must come of them whatever the order in which they arrive.

`python -m tests.scenario_vectors` writes `tests/vectors/state/*.json`. Another implementation merges `records` (hexadecimal
signed bytes, any order) at `now_ms` and compares: the sum of the sha2-256 of the records that count, modulo 2^256
(`digest`) and how many they are, the charter in force, whether the charter is forked, every peer's standing, and the live
pins with the factor of each root.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from protocol.amending import amended, with_steward
from protocol.author import Author
from protocol.certificate import sign_redemption
from protocol.founding import found_swarm
from protocol.identity import KeyPair
from protocol.invite import make_invite, parse_invite
from protocol.limits import MS_PER_DAY
from protocol.records import (
    CURATOR,
    GUEST,
    KEEPER,
    Admission,
    Charter,
    Departure,
    Expulsion,
    Flow,
    Pin,
    Record,
    Replicas,
    Signed,
    pin_id,
    sign_record,
)
from protocol.recordset import RecordSet
from protocol.stamp import Stamp

FOLDER = Path(__file__).parent / "vectors" / "state"
ADA, BOB, EVE, DAN = (KeyPair(bytes([n]) * 32) for n in range(1, 5))
STEWARD, RECOVERY, SECOND = (KeyPair(bytes([n]) * 32) for n in (101, 102, 103))
T0 = 1_800_000_000_000 // MS_PER_DAY * MS_PER_DAY
FOUNDING = found_swarm(ADA.peer_id, STEWARD, RECOVERY.peer_id, name="archive", now_ms=T0)
NOW_MS = T0 + 60_000
Records = list[Signed[Record]]


def at(ms: int, record: Record, key: KeyPair) -> Signed[Record]:
    """The record, stamped `ms` after the founding and signed."""
    return sign_record(replace(record, stamp=Stamp(T0 + ms, 0)), key)


def pin(n: int, **fields: Any) -> Pin:
    root = b"\x01\x55\x12\x20" + bytes([n]) * 32
    return Pin(id=pin_id("f", root), flow="f", root=root, **fields)


def member(key: KeyPair, *roles: str, ms: int = 10) -> Signed[Record]:
    return at(ms, Admission(peer=key.peer_id, roles=roles or (CURATOR, KEEPER)), STEWARD)


def next_charter(ms: int, key: KeyPair, records: Records, **changes: Any) -> Signed[Record]:
    """The charter that follows the one in force among `records`."""
    return at(ms, amended(merged(records).charters, **changes), key)


def merged(records: Records, now_ms: int = NOW_MS) -> RecordSet:
    found = RecordSet(FOUNDING.swarm)
    for signed in (*FOUNDING.records, *records):
        found.merge(signed, now_ms)
    found.due(now_ms)
    return found


def pins_flows_and_roles() -> Records:
    """Curators write pins and flows, keepers and strangers none; the higher stamp wins, a tie goes to the author."""
    return [
        member(BOB, CURATOR),
        member(EVE, KEEPER),
        at(20, Flow(name="f", replicas=Replicas(2, 4)), BOB),
        at(21, pin(1), BOB),
        at(21, pin(1, replicas=Replicas(1, 1)), ADA),
        at(22, pin(2), EVE),
        at(22, pin(3), DAN),
        at(23, pin(4), BOB),
        at(24, pin(4, trashed_ms=T0 + 24), BOB),
        at(25, pin(5), BOB),
        at(26, pin(5, deleted=True), BOB),
        at(25, pin(6), BOB),
        at(26, pin(6, deleted=True), STEWARD),
        at(27, pin(7, expires_ms=NOW_MS - 1), BOB),
    ]


def invites_over_used_in_a_split() -> Records:
    """Two were admitted on both sides under a certificate for one: the first by (stamp, peer) stands."""
    line = make_invite(
        Author(STEWARD), swarm=FOUNDING.swarm, secret=bytes(range(32)), addrs=(), roles=(KEEPER,), uses=1,
        expires_ms=T0 + 50_000, now_ms=T0 + 5,
    )  # fmt: skip
    invite = parse_invite(line)
    found = []
    for ms, key, host in ((200, BOB, ADA), (100, EVE, DAN)):
        redemption = sign_redemption(invite.certificate_raw, key.peer_id, invite.key)
        draft = Admission(peer=key.peer_id, roles=(KEEPER,), certificate=invite.certificate_raw, redemption=redemption)
        found.append(at(ms, draft, host))
    return found


def redeemed(ms: int, key: KeyPair, host: KeyPair, *roles: str, issued: int) -> Signed[Record]:
    """The admission of `key` under an invite for `roles`, written down by `host`."""
    line = make_invite(
        Author(STEWARD), swarm=FOUNDING.swarm, secret=bytes([issued] * 32), addrs=(), roles=roles, uses=3,
        expires_ms=T0 + 50_000, now_ms=T0 + issued,
    )  # fmt: skip
    invite = parse_invite(line)
    redemption = sign_redemption(invite.certificate_raw, key.peer_id, invite.key)
    draft = Admission(peer=key.peer_id, roles=roles, certificate=invite.certificate_raw, redemption=redemption)
    return at(ms, draft, host)


def invites_redeemed_in_others_names() -> Records:
    """An invite adds roles and takes none away, whoever redeems it for whom; a steward's own word does both."""
    return [
        at(12, pin(1), ADA),
        member(BOB),
        at(12, pin(2), BOB),
        redeemed(30, EVE, ADA, KEEPER, issued=20),
        redeemed(31, ADA, EVE, KEEPER, issued=20),
        redeemed(32, BOB, EVE, GUEST, issued=21),
        redeemed(33, DAN, ADA, CURATOR, issued=22),
        at(40, Admission(peer=DAN.peer_id, roles=(KEEPER,)), STEWARD),
        at(41, pin(3), DAN),
    ]


def an_expulsion_with_its_pins_signed_anew() -> Records:
    """Bob's pin, tombstone and flow stay under the steward's name with their old stamps; what he writes later is void."""
    theirs: list[Record] = [pin(1), pin(2, trashed_ms=T0 + 21), Flow(name="f", replicas=Replicas(1, 2)), pin(3)]
    own = [at(20 + n, record, BOB) for n, record in enumerate(theirs)]
    anew = [sign_record(signed.record, STEWARD) for signed in own[:3]]
    return [
        member(BOB),
        member(DAN, GUEST),
        *own,
        *anew,
        at(40, Expulsion(peer=BOB.peer_id, reason="key lost"), STEWARD),
        at(41, pin(4), BOB),
        at(42, pin(3), ADA),
    ]


def departures() -> Records:
    """Who has left is no member, and its records count all the same; one that says it is back is a member again."""
    return [
        member(BOB),
        member(EVE),
        at(20, pin(1), BOB),
        at(30, Departure(), BOB),
        at(30, Departure(), EVE),
        at(31, Departure(back=True), EVE),
    ]


def a_fork_and_the_charter_that_settles_it() -> Records:
    """Two stewards sign conflicting charters in a split; the lower hash wins until one names both."""
    records: Records = [next_charter(10, STEWARD, [], stewards=(STEWARD.peer_id, SECOND.peer_id))]
    fork = [
        next_charter(20, STEWARD, records, name="one", replicas=Replicas(1, 2)),
        next_charter(20, SECOND, records, name="other", trash_days=7),
    ]
    records += fork
    return [*records, next_charter(30, SECOND, records, name="ours")]


def a_fork() -> Records:
    """The same before it is settled."""
    return a_fork_and_the_charter_that_settles_it()[:-1]


def a_steward_removed_and_another_made_by_the_recovery_key() -> Records:
    """The recovery key's branch wins over the removed steward's forks; her word counts for what she stamped before."""
    records: Records = [next_charter(10, STEWARD, [], stewards=(STEWARD.peer_id, SECOND.peer_id))]
    behind = [next_charter(40 + n, STEWARD, records, name=f"behind {n}") for n in range(3)]
    removal = next_charter(30, RECOVERY, records, stewards=(SECOND.peer_id,))
    records += [removal, *behind]
    assert isinstance(removal.record, Charter)
    added = next_charter(50, RECOVERY, records, stewards=with_steward(removal.record, BOB.peer_id))
    records.append(added)
    return [
        *records,
        member(DAN, KEEPER, ms=25),
        at(35, Admission(peer=EVE.peer_id, roles=(KEEPER,)), STEWARD),
        at(60, pin(1), BOB),
    ]


def an_append_only_time() -> Records:
    """Removals stamped since the charter became append-only do not count; those before do."""
    return [
        member(BOB),
        at(20, pin(1), BOB),
        at(21, pin(1, trashed_ms=T0 + 21), BOB),
        at(22, pin(2), BOB),
        next_charter(30, STEWARD, [], append_only=True),
        at(40, pin(2, trashed_ms=T0 + 40), BOB),
        at(41, pin(2, deleted=True), STEWARD),
    ]


SCENARIOS: tuple[Callable[[], Records], ...] = (
    pins_flows_and_roles,
    invites_over_used_in_a_split,
    invites_redeemed_in_others_names,
    an_expulsion_with_its_pins_signed_anew,
    departures,
    a_fork,
    a_fork_and_the_charter_that_settles_it,
    a_steward_removed_and_another_made_by_the_recovery_key,
    an_append_only_time,
)


def outcome(records: RecordSet) -> dict[str, Any]:
    """What others may see of a record set, as JSON."""
    charter, tip = records.charter, records.charters.tip
    assert charter is not None
    assert tip is not None
    return {
        "count": len(records),
        "digest": records.digest.hex(),
        "charter": {"number": charter.number, "name": charter.name, "hash": tip.hex(), "stewards": charter.stewards},
        "forked": records.forked,
        "standings": {
            peer: {"roles": standing.roles, "member": standing.member, "left": standing.left, "expelled": standing.expelled}
            for peer, standing in sorted(records.standings().items())
        },
        "pins": [
            {
                "root": root.hex(),
                "authors": sorted(signed.author for signed in records.live_pins(root)),
                "trashed": all(signed.record.trashed_ms is not None for signed in records.live_pins(root)),
                "wanted": None if (wanted := records.wanted(root)) is None else [wanted.min, wanted.max],
            }
            for root in sorted(records.roots())
        ],
    }  # fmt: skip


def vector(scenario: Callable[[], Records]) -> dict[str, Any]:
    """A scenario as its file has it."""
    records = scenario()
    return {
        "about": (scenario.__doc__ or "").strip(),
        "swarm": FOUNDING.swarm_id,
        "now_ms": NOW_MS,
        "records": [signed.raw.hex() for signed in (*FOUNDING.records, *records)],
        "outcome": outcome(merged(records)),
    }


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for scenario in SCENARIOS:
        path = FOLDER / f"{scenario.__name__.replace('_', '-')}.json"
        path.write_text(json.dumps(vector(scenario), indent=1) + "\n")


if __name__ == "__main__":
    main()
