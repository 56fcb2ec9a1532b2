"""What does not count takes little room and little time, whoever writes it; what counts always has its place."""

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

from protocol.author import Author
from protocol.certificate import Certificate, sign_certificate, sign_redemption
from protocol.changes import Status
from protocol.charter_chain import CHARTERS_PER_AUTHOR
from protocol.counting import Counting
from protocol.identity import KeyPair
from protocol.limits import AHEAD_MS, MS_PER_DAY
from protocol.records import CURATOR, GUEST, KEEPER, Admission, Charter, Departure, Expulsion, Record, Signed
from protocol.recordset import (
    ENDS_SPARE,
    IDLE_BYTES,
    IDLE_WORDS_PER_AUTHOR,
    RECORDS_PER_UNKNOWN_AUTHOR,
    UNKNOWN_AUTHORS,
    RecordSet,
)
from protocol.roles import OVER_USED, ChainCache
from protocol.stamp import Clock, Stamp
from tests.unit.test_protocol_recordset import (
    FOUNDING,
    PEERS,
    RECOVERY,
    ROOTS,
    SECOND_STEWARD,
    STEWARD,
    T0,
    admission,
    at,
    pin,
    swarm,
)

INVITE = KeyPair(b"i" * 32)


def key(number: int) -> KeyPair:
    return KeyPair(b"key" + number.to_bytes(29, "big"))


def merged(records: RecordSet, came: list[Signed[Record]], status: Status) -> int:
    outcomes, _ = records.merge_all(came, T0 + 1000)
    return [outcome.status for outcome in outcomes].count(status)


def pins(author: KeyPair, count: int) -> list[Signed[Record]]:
    writer = Author(author)
    return [writer.write(pin(id=n.to_bytes(16, "big")), T0) for n in range(count)]


def test_who_may_not_pin_fills_nobodys_memory_with_pins() -> None:
    guest, keeper, expelled = PEERS[1:4]
    records = swarm(
        at(1, admission(guest, GUEST), STEWARD),
        at(1, admission(keeper, KEEPER), STEWARD),
        at(1, admission(expelled, CURATOR), STEWARD),
        at(2, Expulsion(peer=expelled.peer_id), STEWARD),
    )
    for author in (guest, keeper, expelled):
        assert merged(records, pins(author, RECORDS_PER_UNKNOWN_AUTHOR + 7), Status.REFUSED) == 7
    large = pin(name="n" * IDLE_BYTES)
    assert merged(records, [at(5, large, PEERS[4])], Status.REFUSED) == 1
    assert merged(records, [at(5, large, PEERS[0])], Status.COUNTS) == 1


def test_who_is_admitted_again_has_all_that_he_wrote_over_a_restart() -> None:
    author = PEERS[1]
    theirs = pins(author, RECORDS_PER_UNKNOWN_AUTHOR + 7)
    records = swarm(at(1, admission(author, CURATOR), STEWARD), *theirs, at(2, Expulsion(peer=author.peer_id), STEWARD))
    again = RecordSet(FOUNDING.swarm)
    again.restore(list(records))
    assert set(again) == set(records)
    for each in (records, again):
        each.merge(at(3, admission(author, CURATOR), STEWARD), T0)
        assert each.pin_count == len(theirs)


def test_a_restart_forgets_nobodys_records_where_a_charter_that_lost_had_admitted_him() -> None:
    """Its branch may win again: by a charter that the recovery key signs."""
    theirs = pins(PEERS[1], RECORDS_PER_UNKNOWN_AUTHOR + 7)
    words = [*FOUNDING.records, at(1, admission(PEERS[1], CURATOR), SECOND_STEWARD), *theirs]
    records = RecordSet(FOUNDING.swarm)
    records.restore(words)
    assert set(records) == set(words)
    stewards = (STEWARD.peer_id, SECOND_STEWARD.peer_id)
    charter = Charter(number=2, previous=(FOUNDING.swarm,), name="b", stewards=stewards, recovery=RECOVERY.peer_id)
    records.merge(at(2, charter, RECOVERY), T0)
    assert records.pin_count == len(theirs)


def test_what_would_govern_and_does_not_is_bounded() -> None:
    records = swarm()
    words: list[Signed[Record]] = [
        at(1, word, PEERS[0])
        for n in range(IDLE_WORDS_PER_AUTHOR)
        for word in (Expulsion(peer=key(n).peer_id), admission(key(n), KEEPER))
    ]
    assert merged(records, words, Status.REFUSED) == IDLE_WORDS_PER_AUTHOR
    steward = [at(1, Expulsion(peer=key(n).peer_id), STEWARD) for n in range(3 * IDLE_WORDS_PER_AUTHOR)]
    assert merged(records, steward, Status.COUNTS) == len(steward)


def test_charters_of_keys_made_for_it_are_bounded() -> None:
    records = swarm()
    stray = Charter(number=2, previous=(bytes(32),), name="x", stewards=(key(0).peer_id,), recovery=RECOVERY.peer_id)
    assert merged(records, [at(1, stray, key(n)) for n in range(UNKNOWN_AUTHORS + 7)], Status.REFUSED) == 7
    right = Charter(
        number=2, previous=(FOUNDING.swarm,), name="right", stewards=(STEWARD.peer_id,), recovery=RECOVERY.peer_id
    )
    assert records.merge(at(2, right, RECOVERY), T0).status is Status.COUNTS
    forks = [
        at(n, replace(right, name=str(n)), STEWARD) for n in range(CHARTERS_PER_AUTHOR + 7)
    ]  # one who is removed could go on for ever
    assert merged(records, forks, Status.REFUSED) == 7 + 1  # with that which founded the swarm
    newcomer = RecordSet(FOUNDING.swarm)
    merged(newcomer, [at(1, stray, key(n)) for n in range(UNKNOWN_AUTHORS + 7)], Status.KEPT)
    assert newcomer.merge(FOUNDING.records[0], T0).status is Status.COUNTS


def test_an_invite_redeemed_for_peers_made_for_it_is_bounded_and_its_first_uses_stand() -> None:
    records, uses = swarm(), 3
    certificate = sign_certificate(
        Certificate(
            swarm=FOUNDING.swarm, roles=(KEEPER,), uses=uses, expires_ms=T0 + 10**6, invite_key=INVITE.peer_id,
            stamp=Stamp(T0, 0),
        ),
        STEWARD,
    )  # fmt: skip

    def use(n: int, ms: int) -> Signed[Record]:
        redemption = sign_redemption(certificate, key(n).peer_id, INVITE)
        word = Admission(peer=key(n).peer_id, roles=(KEEPER,), certificate=certificate, redemption=redemption)
        return at(ms, word, key(1000 + n))

    count = uses + OVER_USED + 20
    disk: dict[bytes, Signed[Record]] = {}
    for n in range(count):  # each is earlier than those before
        changes = records.merge(use(n, count - n), T0 + 1000).changes
        disk.update({stored.storage_key: stored for stored in changes.stored})
        for storage_key in changes.forgotten:
            del disk[storage_key]
    merged(records, [use(n, 500) for n in range(count, count + 20)], Status.KEPT)
    kept = [
        signed for signed in records.governing() if isinstance(signed.record, Admission) and signed.record.redemption
    ]
    assert len(kept) == uses + OVER_USED
    assert set(kept) == set(disk.values())
    joined = {key(n).peer_id for n in range(count - uses, count)}
    assert joined <= set(records.members())
    assert len(records.members()) == 1 + uses
    assert len(records) == len(FOUNDING.records) + uses


def test_chains_of_admissions_that_are_refused_are_not_all_remembered() -> None:
    word = Admission(peer=key(0).peer_id, roles=(KEEPER,), certificate=b"none", redemption=b"none")
    chains = ChainCache(FOUNDING.swarm)
    with patch("protocol.roles.CHAINS", 5):
        assert all(chains.chain(at(n, word, PEERS[0])) is None for n in range(20))
    assert len(chains._known) == 5


def test_roles_are_judged_once_however_many_words_of_it_come_together() -> None:
    records, author = swarm(), Author(PEERS[0])
    departures = [author.write(Departure(back=n % 2 == 0), T0) for n in range(50)]
    between = pins(PEERS[0], 50)
    came = [word for pair in zip(departures, between, strict=True) for word in pair]
    with patch.object(Counting, "judge", autospec=True, side_effect=Counting.judge) as judge:
        outcomes, _ = records.merge_all(came, T0 + 1000)
        assert judge.call_count == 1
    assert outcomes[-2].status is Status.COUNTS
    assert all(outcome.status is Status.COUNTS for outcome in outcomes[1::2])
    ahead = Author(PEERS[0], Clock(Stamp(T0 + 10**6, 0)))
    merged(records, [ahead.write(Departure(back=n % 2 == 0), T0) for n in range(50)], Status.HELD_BACK)
    with patch.object(Counting, "judge", autospec=True, side_effect=Counting.judge) as judge:
        records.due(T0 + 10**6 + AHEAD_MS)
        assert judge.call_count == 1


def test_a_charter_and_what_its_new_steward_signed_may_come_together_and_in_any_order() -> None:
    charter = Charter(
        number=2, previous=(FOUNDING.swarm,), name="two", stewards=(STEWARD.peer_id, SECOND_STEWARD.peer_id),
        recovery=RECOVERY.peer_id,
    )  # fmt: skip
    words = [at(3, admission(key(n), CURATOR), SECOND_STEWARD) for n in range(2 * IDLE_WORDS_PER_AUTHOR)]
    theirs = [at(4, pin(n, flow="f"), key(n)) for n in range(len(ROOTS))]
    records = RecordSet(FOUNDING.swarm)
    came = [*theirs, *words, at(2, charter, STEWARD), *FOUNDING.records]
    assert merged(records, came, Status.COUNTS) == len(came)


def test_one_pin_written_again_and_again_waits_for_its_end_a_few_times_at_most() -> None:
    records = swarm(at(1, admission(PEERS[1], KEEPER), STEWARD))
    for author in (PEERS[0], PEERS[1]):  # one who may pin, and one who may not
        writer, ends_ms = Author(author), T0 + 10**9
        came = [writer.write(pin(expires_ms=ends_ms + n), T0) for n in range(2 * ENDS_SPARE)]
        for signed in came:
            records.merge(signed, T0 + 1000)
        assert len(records._ends) <= ENDS_SPARE + 2 * 2
    assert records.next_due_ms() == ends_ms + 2 * ENDS_SPARE - 1
    records.due(ends_ms + 2 * ENDS_SPARE)
    assert records.pin_count == 0
    records.due(ends_ms + 40 * MS_PER_DAY)
    assert set(records) == {*FOUNDING.records, *records.governing()}


class NeverWalked(set[bytes]):
    """The keys of somebody who has written a million records."""

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("each of his words would cost as much as all of them")


def test_a_word_that_does_not_count_costs_the_same_however_much_its_author_has_written() -> None:
    records, author = swarm(), PEERS[0]
    merged(records, pins(author, 50), Status.COUNTS)
    records._by_author._keys[author.peer_id] = NeverWalked(records._by_author.of(author.peer_id))
    stray = Charter(number=2, previous=(bytes(32),), name="x", stewards=(author.peer_id,), recovery=RECOVERY.peer_id)
    words: list[Signed[Record]] = [at(1, Expulsion(peer=key(n).peer_id), author) for n in range(50)]
    assert merged(records, [*words, at(1, stray, author)], Status.KEPT) == IDLE_WORDS_PER_AUTHOR + 1


def test_authors_of_whom_nothing_is_kept_are_forgotten() -> None:
    records, ends_ms = swarm(at(1, admission(PEERS[1], CURATOR), STEWARD)), T0 + 10
    founders = set(records._by_author)
    came = [at(1, pin(expires_ms=ends_ms, id=bytes([n]) * 16), key(n)) for n in range(5)]
    assert merged(records, came, Status.KEPT) == len(came)
    assert len(set(records._by_author)) == len(founders) + len(came)
    records.due(ends_ms + 31 * MS_PER_DAY)
    assert set(records._by_author) == founders
