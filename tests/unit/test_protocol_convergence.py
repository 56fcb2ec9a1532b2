"""Honest peers come to one set, whatever reached whom, in what order, when, and over how many restarts.

Each peer gets its own part of one history, restarts from what it has stored, and lets time act when it likes. Then they
compare themselves as sync does: what counts there is taken over here, and what is refused because its author has written
a later one, which does not count, is told to the others.
"""

from dataclasses import replace
from functools import cache
from random import Random
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.admission import CURATOR, KEEPER, Admission, Departure, Expulsion
from protocol.certificate import Certificate, sign_certificate, sign_redemption
from protocol.changes import Changes
from protocol.charter import Charter
from protocol.flow import Flow
from protocol.founding import found_swarm
from protocol.identity import KeyPair
from protocol.limits import MS_PER_DAY
from protocol.pin import Pin
from protocol.places import END, START
from protocol.records import Record, Signed, sign_record
from protocol.recordset import IDLE_WORDS_PER_AUTHOR, RecordSet
from protocol.stamp import Stamp

PEERS = [KeyPair(bytes([n]) * 32) for n in range(1, 4)]
STEWARD, RECOVERY, OTHER, INVITE = (KeyPair(bytes([n]) * 32) for n in (101, 102, 103, 104))
T0 = 1_800_000_000_000 // MS_PER_DAY * MS_PER_DAY
FOUNDING = found_swarm(PEERS[0].peer_id, STEWARD, RECOVERY.peer_id, name="test", now_ms=T0)
ROOTS = [b"\x01\x55\x12\x20" + bytes([n]) * 32 for n in range(3)]
MINUTE = 60_000
STAMPS = [0, 1, 2, 3, 4, 5, 10, 6 * MINUTE, MS_PER_DAY, 20 * MS_PER_DAY, 40 * MS_PER_DAY]
CERTIFICATES = [
    sign_certificate(
        Certificate(
            swarm=FOUNDING.swarm,
            roles=(CURATOR, KEEPER),
            uses=uses,
            expires_ms=T0 + 30 * MS_PER_DAY,
            invite_key=INVITE.peer_id,
            stamp=Stamp(T0 + 1, 0),
        ),
        signer,
    )
    for uses, signer in ((1, STEWARD), (2, OTHER))
]


def redeemed(certificate: bytes, peer: KeyPair) -> Admission:
    redemption = sign_redemption(certificate, peer.peer_id, INVITE)
    return Admission(peer=peer.peer_id, roles=(CURATOR, KEEPER), certificate=certificate, redemption=redemption)


def charter(previous: tuple[bytes, ...], number: int, **fields: object) -> Charter:
    said = {"name": "a", "stewards": (STEWARD.peer_id,), "recovery": RECOVERY.peer_id, **fields}
    return Charter(number=number, previous=previous, **said)  # type: ignore[arg-type]


@cache
def at(ms: int, record: Record, key: KeyPair) -> Signed[Record]:
    return sign_record(replace(record, stamp=Stamp(T0 + ms, 0)), key)


CHARTERS = [
    at(3, charter((FOUNDING.swarm,), 2, append_only=True), STEWARD),
    at(4, charter((FOUNDING.swarm,), 2, stewards=(STEWARD.peer_id, OTHER.peer_id)), STEWARD),
    at(4, charter((FOUNDING.swarm,), 2, stewards=(OTHER.peer_id,), trash_days=3), RECOVERY),
]
CHARTERS += [
    at(5, charter((CHARTERS[0].digest,), 3), STEWARD),
    at(MS_PER_DAY, charter((CHARTERS[1].digest, CHARTERS[0].digest), 3, stewards=(OTHER.peer_id,)), RECOVERY),
    at(20 * MS_PER_DAY, charter((CHARTERS[2].digest,), 3, stewards=(OTHER.peer_id,), append_only=True), OTHER),
]


PINS = [
    Pin(id=bytes([n]) * 16, flow="f", root=root, trashed_ms=trashed_ms, expires_ms=expires_ms, deleted=deleted)
    for n in range(2)
    for root in ROOTS
    for trashed_ms in (None, None, T0, T0 - 31 * MS_PER_DAY, T0 - 70 * MS_PER_DAY)
    for expires_ms in (None, None, T0 + 20, T0 + 10 * MS_PER_DAY)
    for deleted in (False, False, True)
]
OTHERS: dict[str, list[Record]] = {
    "flow": [Flow(name="f", deleted=deleted) for deleted in (False, True)],
    "admission": [
        Admission(peer=p.peer_id, roles=r) for p in PEERS for r in ((CURATOR, KEEPER), (KEEPER,), (CURATOR,))
    ],
    "redeemed": [redeemed(certificate, peer) for certificate in CERTIFICATES for peer in PEERS],
    "expulsion": [Expulsion(peer=peer.peer_id) for peer in PEERS],
    "departure": [Departure(back=back) for back in (False, True)],
}


def any_record(chance: Random) -> Signed[Record]:
    kind = chance.choice(["pin", "pin", "charter", *OTHERS])
    if kind == "charter":
        return chance.choice(CHARTERS)
    record = chance.choice(PINS if kind == "pin" else OTHERS[kind])
    return at(chance.choice(STAMPS), record, chance.choice([*PEERS, STEWARD, OTHER]))


class Honest:
    """One peer: what it has merged, and what of it lies on its disk."""

    def __init__(self) -> None:
        self.records = RecordSet(FOUNDING.swarm)
        self.disk: dict[bytes, Signed[Record]] = {}
        self.take(FOUNDING.records, T0)

    def take(self, signed: tuple[Signed[Record], ...], now_ms: int) -> tuple[Signed[Record], ...]:
        outcomes, changes = self.records.merge_all(signed, now_ms)
        self.write(changes)
        return tuple(merged.later for merged in outcomes if merged.later is not None)

    def write(self, changes: Changes) -> None:
        self.disk.update({signed.storage_key: signed for signed in changes.stored})
        for key in changes.forgotten:
            self.disk.pop(key, None)

    def due(self, now_ms: int) -> None:
        self.write(self.records.due(now_ms))

    def restart(self) -> None:
        assert set(self.disk.values()) == set(self.records)
        self.records = RecordSet(FOUNDING.swarm)
        self.records.restore(self.disk.values())

    @property
    def tally(self) -> tuple[Signed[Record], ...]:
        return tuple(self.records.tally.between(START, END))


def sync(asker: Honest, answerer: Honest, everyone: list[Honest], now_ms: int) -> None:
    known = set(asker.tally)
    for later in asker.take(tuple(signed for signed in answerer.tally if signed not in known), now_ms):
        for peer in everyone:
            peer.take((later,), now_ms)


def settle(everyone: list[Honest], now_ms: int) -> set[bytes]:
    """Let all of them compare themselves for as long as it may take; return their digests."""
    for _ in range(12):
        now_ms += 10_000
        for peer in everyone:
            peer.due(now_ms)
        for peer in everyone:
            for other in everyone:
                sync(peer, other, everyone, now_ms)
    for peer in everyone:
        peer.due(now_ms)
    return {peer.records.digest for peer in everyone}


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32))
def test_peers_that_compare_themselves_come_to_one_set(seed: int) -> None:
    chance = Random(seed)
    everyone = [Honest() for _ in range(3)]
    now_ms = T0
    for _ in range(chance.randrange(4, 30)):
        now_ms += chance.choice([0, 0, 0, 1000, 7 * MINUTE, MS_PER_DAY, 15 * MS_PER_DAY])
        who = chance.randrange(3)
        peer = everyone[who]
        what = chance.choice(["get"] * 4 + ["due", "restart", "sync"])
        if what == "get":
            peer.take((any_record(chance),), now_ms)
        elif what == "due":
            peer.due(now_ms)
        elif what == "restart":
            peer.restart()
        else:
            sync(peer, everyone[(who + 1) % 3], everyone, now_ms)
    assert len(settle(everyone, now_ms)) == 1


def test_a_purge_that_does_not_count_is_known_to_all_or_forgotten_by_all() -> None:
    trashed = at(1, PINS[24], PEERS[0])
    assert isinstance(trashed.record, Pin)
    assert trashed.record.trashed_ms == T0
    purged = at(2, replace(trashed.record, deleted=True), PEERS[0])
    one, other = Honest(), Honest()
    one.take((trashed,), T0)
    other.take((purged,), T0)
    assert len(settle([one, other], T0)) == 1
    assert purged in set(one.records)
    assert one.records.get(trashed.key) is None
    assert one.records.due(T0 + 30 * MS_PER_DAY).forgotten == (purged.storage_key,)
    assert set(one.records) == set(FOUNDING.records)


def test_of_one_invite_used_twice_by_one_author_all_know_the_later_use() -> None:
    first, later = (at(ms, redeemed(CERTIFICATES[0], PEERS[1]), PEERS[0]) for ms in (2, 4))
    between = at(3, redeemed(CERTIFICATES[0], PEERS[1]), PEERS[2])
    one, other = Honest(), Honest()
    one.take((first,), T0)
    other.take((later, between), T0)
    assert len(settle([one, other], T0)) == 1
    assert one.records.get(between.key) == between


def test_a_tombstone_takes_along_what_it_outlived_although_a_later_pin_counts() -> None:
    """Who pinned it again is expelled, and his pins are dropped: what was deleted a month ago does not come back."""
    peer = Honest()
    first, deleted, again = (
        at(ms, replace(PINS[0], deleted=is_deleted), key)
        for ms, is_deleted, key in ((1, False, PEERS[0]), (2, True, STEWARD), (3, False, PEERS[1]))
    )
    admitted = at(1, Admission(peer=PEERS[1].peer_id, roles=(CURATOR,)), STEWARD)
    peer.take((admitted, first, deleted, again), T0)
    peer.due(T0 + 31 * MS_PER_DAY)
    peer.restart()
    peer.take((at(31 * MS_PER_DAY, Expulsion(peer=PEERS[1].peer_id), STEWARD),), T0 + 31 * MS_PER_DAY)
    assert peer.records.get(first.key) is None


def test_a_later_word_that_does_not_count_has_its_place_however_many_its_author_has_written() -> None:
    """What a steward wrote after he was left out, without knowing it, outdates what he wrote before, wherever that counts."""
    others = [KeyPair(bytes([n]) * 32) for n in range(10, 10 + 2 * IDLE_WORDS_PER_AUTHOR)]
    admitted = tuple(at(1, Admission(peer=peer.peer_id, roles=(KEEPER,)), STEWARD) for peer in others)
    again = at(5, Admission(peer=others[0].peer_id, roles=(CURATOR,)), STEWARD)
    left_out = at(4, charter((FOUNDING.swarm,), 2, stewards=(OTHER.peer_id,)), RECOVERY)
    one, other = Honest(), Honest()
    one.take((*admitted, again), T0)
    other.take((*admitted, left_out), T0)
    assert len(settle([one, other], T0)) == 1


def test_a_purge_that_does_not_count_has_its_place_however_many_pins_its_author_has() -> None:
    trashed = at(1, PINS[24], PEERS[0])
    pins = tuple(at(1, replace(PINS[0], id=n.to_bytes(16, "big")), PEERS[0]) for n in range(3, 10))
    purged = at(2, replace(PINS[24], deleted=True), PEERS[0])
    one, other = Honest(), Honest()
    one.take((purged, *pins), T0)
    other.take((trashed, *pins), T0)
    with patch("protocol.recordset.RECORDS_PER_UNKNOWN_AUTHOR", len(pins)):
        assert len(settle([one, other], T0)) == 1
