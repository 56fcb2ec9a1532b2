"""Catch up with another peer's records: the asker's machine and the answerer's function.

Only the asker learns; the other asks in its turn when it sees another digest. State is compared as current sets, never
as history. The answerer keeps nothing between asks, so an asker that vanishes costs nothing, and the steps can be
replaced by ranges without touching either's caller.
"""

from dataclasses import dataclass

from protocol.errors import Reason, Refused
from protocol.limits import PAGE_BYTES, SYNC_ENTRIES
from protocol.recordset import RecordSet
from protocol.sync_messages import (
    ENTRIES_PER_PAGE,
    ENTRY_BYTES,
    KEY_BYTES,
    KEYS_PER_WANT,
    PREFIX_BYTES,
    SyncBuckets,
    SyncCompare,
    SyncList,
    SyncListing,
    SyncRecords,
    SyncWant,
)
from protocol.tally import Tally, bucket_of, record_order

SyncAsk = SyncCompare | SyncList | SyncWant
SyncAnswer = SyncBuckets | SyncListing | SyncRecords
_RECORD_OVERHEAD_BYTES = 8
_ENVELOPE_BYTES = 64


def answer_sync(records: RecordSet, ask: SyncAsk) -> SyncAnswer:
    """Answer one ask of another member from what counts here now."""
    if isinstance(ask, SyncCompare):
        ours = b"".join(records.tally.fingerprints)
        return SyncBuckets(
            buckets=bytes(b for b in range(256) if ours[32 * b : 32 * b + 32] != ask.fingerprints[32 * b : 32 * b + 32])
        )
    if isinstance(ask, SyncList):
        return _list(records.tally, ask)
    return _fetch(records, ask)


def _list(tally: Tally, ask: SyncList) -> SyncListing:
    entries: list[bytes] = []
    after = ask.after
    for number in ask.buckets:
        bucket = tally.bucket(number)
        keys = sorted(key for key in bucket if key > after)
        room = ENTRIES_PER_PAGE - len(entries)
        entries += (key + bucket[key].digest[:PREFIX_BYTES] for key in keys[:room])
        if len(keys) > room:
            return SyncListing(entries=b"".join(entries), complete=False)
        after = b""
    return SyncListing(entries=b"".join(entries), complete=True)


def _fetch(records: RecordSet, ask: SyncWant) -> SyncRecords:
    found: list[bytes] = []
    room = PAGE_BYTES - _ENVELOPE_BYTES
    keys = _split(ask.keys, KEY_BYTES)
    for taken, key in enumerate(keys):
        signed = records.get(key)
        if signed is None:
            continue
        room -= len(signed.raw) + _RECORD_OVERHEAD_BYTES
        if room < 0:
            return SyncRecords(taken=taken, records=tuple(found))
        found.append(signed.raw)
    return SyncRecords(taken=len(keys), records=tuple(found))


def _split(packed: bytes, width: int) -> list[bytes]:
    return [packed[at : at + width] for at in range(0, len(packed), width)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What an answer has brought.

    Attributes:
        records: signed bytes to parse and merge, in this order; the other peer may have sent anything.
        ask: what to send next, or None at the end.
    """

    records: tuple[bytes, ...] = ()
    ask: SyncAsk | None = None


class SyncAsker:
    """One catching-up with one peer: send `first()`, then what each `handle` says, until it says nothing.

    Args:
        records: our own; read only.
    """

    def __init__(self, records: RecordSet) -> None:
        self._records = records
        self._awaited: type[SyncAnswer] | None = None
        self._buckets = b""
        self._listed = 0
        self._last: tuple[int, bytes] = (-1, b"")
        self._wanted: list[bytes] = []

    def first(self) -> SyncCompare:
        """Begin."""
        self._awaited = SyncBuckets
        return SyncCompare(fingerprints=b"".join(self._records.tally.fingerprints))

    def handle(self, answer: SyncAnswer) -> Step:
        """Act on the answer to the last ask.

        Raises:
            Refused: it is not one, or it would never end.
        """
        if type(answer) is not self._awaited:
            raise Refused(Reason.MALFORMED, f"{answer.KIND} out of turn")
        if isinstance(answer, SyncBuckets):
            self._buckets = answer.buckets
            return Step(ask=self._list(b"") if answer.buckets else None)
        if isinstance(answer, SyncListing):
            return self._on_listing(answer)
        return self._on_records(answer)

    def _list(self, after: bytes) -> SyncList:
        self._awaited = SyncListing
        return SyncList(buckets=self._buckets, after=after)

    def _on_listing(self, answer: SyncListing) -> Step:
        for entry in _split(answer.entries, ENTRY_BYTES):
            key, prefix = entry[:KEY_BYTES], entry[KEY_BYTES:]
            place = (bucket_of(key), key)
            if place <= self._last or place[0] not in self._buckets:
                raise Refused(Reason.MALFORMED, "sync listing out of order")
            self._last = place
            ours = self._records.get(key)
            if ours is None or ours.digest[:PREFIX_BYTES] != prefix:
                self._wanted.append(key)
        self._listed += len(answer.entries) // ENTRY_BYTES
        if self._listed > SYNC_ENTRIES:
            raise Refused(Reason.TOO_LARGE, f"sync of more than {SYNC_ENTRIES} records")
        if not answer.complete:
            if not answer.entries:
                raise Refused(Reason.MALFORMED, "sync listing that does not go on")
            self._buckets = bytes(b for b in self._buckets if b >= self._last[0])
            return Step(ask=self._list(self._last[1]))
        self._wanted = [key for key in self._wanted if key[:1] in b"caedfp"]
        self._wanted.sort(key=lambda key: (-record_order(key), key))
        return Step(ask=self._want())

    def _want(self) -> SyncWant | None:
        if not self._wanted:
            return None
        self._awaited = SyncRecords
        return SyncWant(keys=b"".join(self._wanted[: -KEYS_PER_WANT - 1 : -1]))

    def _on_records(self, answer: SyncRecords) -> Step:
        if answer.taken > min(KEYS_PER_WANT, len(self._wanted)):
            raise Refused(Reason.MALFORMED, "more records than were wanted")
        del self._wanted[-answer.taken :]
        return Step(records=answer.records, ask=self._want())


class SyncTrigger:
    """When to start catching up, and with whom (DESIGN §5).

    With a peer whose digest has differed from ours over two of its beats while neither changed, or for a minute; with
    anyone after joining. At most one sync starts per ten seconds; which of the candidates, the caller draws.
    """

    def __init__(self, *, after_s: float, every_s: float) -> None:
        self._after_s = after_s
        self._every_s = every_s
        self._differing: dict[str, tuple[bytes, bytes, float]] = {}
        self._steady: set[str] = set()
        self._anyone = False
        self._started_s: float | None = None

    def ask_anyone(self) -> None:
        """After joining, after a start, or on a gap: the next peer heard of will do."""
        self._anyone = True

    def on_beat(self, peer: str, theirs: bytes, ours: bytes, now_s: float) -> None:
        """Take note of the record digest in a peer's heartbeat, and of ours at that moment."""
        if theirs == ours:
            self.forget(peer)
            return
        before = self._differing.get(peer)
        if before is not None and before[:2] == (theirs, ours):
            self._steady.add(peer)
        else:
            self._steady.discard(peer)
        self._differing[peer] = (theirs, ours, now_s if before is None else before[2])

    def forget(self, peer: str) -> None:
        """The peer agrees with us or is gone."""
        self._differing.pop(peer, None)
        self._steady.discard(peer)

    def candidates(self, reachable: frozenset[str], now_s: float) -> tuple[str, ...]:
        """Return whom to sync with now, any one of them; empty if nobody or not yet."""
        if self._started_s is not None and now_s - self._started_s < self._every_s:
            return ()
        if self._anyone:
            return tuple(sorted(reachable))
        return tuple(
            sorted(
                peer
                for peer, (_, _, since_s) in self._differing.items()
                if peer in reachable and (peer in self._steady or now_s - since_s >= self._after_s)
            )
        )

    def started(self, now_s: float) -> None:
        """A sync has begun."""
        self._started_s = now_s

    def finished(self, peer: str) -> None:
        """A sync has ended well; the peer's next beats say whether another is needed."""
        self._anyone = False
        self.forget(peer)
