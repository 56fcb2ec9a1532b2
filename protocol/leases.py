"""Letting a surplus copy go without ever losing an image: leases, on the owner's side and on the asker's.

1. The asker begins a round: it names as many holders as the root's `max` and asks each, with a nonce.
2. An owner grants where it holds the root complete, knows no higher `max` and is not letting it go itself. The lease is
   fsynced before it is sent; until it ends the owner neither releases nor deletes the root, wanted or not.
3. With a proven lease from everyone it asked the asker releases, at once. A refusal, silence or a lease of its own
   that it grants meanwhile cancels the round.
4. A root that moved to another kind is let go on the old one under leases on the new: `max` copies there, one of which
   may be the asker's own. It promises that one to nobody, but has no round for it while this one runs.
5. When a round is over the asker gives its leases back: they end before their time, so that an owner whose copy is
   surplus as well need not wait. A lease is named by its nonce: giving back an old one cannot end a later one.

Whatever the views that led here, `max` others have promised to keep the root at the moment a copy goes. Two peers that
ask each other cannot both go on: the lower PeerId is granted and gives up nothing, the other's round is cancelled.

Pure: the caller passes `now_ms` (the wall clock at its start plus what a monotonic one counted since), carries nonces,
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import libipld

LEASE_MS = 3_600_000
"""How long a lease binds its owner. Source: DESIGN §7, release by lease."""

ROUND_MS = 60_000
"""How long a round may take. A fraction of `LEASE_MS`, so that no lease of a round ends before it: guess."""

MAX_LEASES_PER_ROOT = 64
"""Askers that one owner binds itself to for one root; a peer that asks under ever new names fills no memory: guess."""

MAX_OVER = 1024
"""Rounds that are remembered as over, so that an ask that came late is not granted: a guess."""

Refusal = Literal["incomplete", "higher_max", "releasing", "blocked", "too_many", "leased", "over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """`owner` promises `to` that it keeps the root on this kind until `until_ms`.

    Attributes:
        nonce: of the asker's round.
        max: the factor that the asker knew.
        until_ms: wall-clock milliseconds of the owner, so that the promise outlives a restart. Nobody else compares it
            with a clock.
    """

    root: bytes
    kind: str
    owner: str
    to: str
    nonce: bytes
    max: int
    until_ms: int

    def to_bytes(self) -> bytes:
        """The lease for the disk; what is signed and sent has a form of its own."""
        body = [self.root, self.kind, self.owner, self.to, self.nonce, self.max, self.until_ms]
        raw: bytes = libipld.encode_dag_cbor(body)
        return raw

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: `raw` is nothing of the kind.
        """
        try:
            root, kind, owner, to, nonce, max_copies, until_ms = libipld.decode_dag_cbor(raw)
        except (ValueError, TypeError) as error:
            raise ValueError(f"not a lease: {error}") from error
        texts, counts = (kind, owner, to), (max_copies, until_ms)
        if not (
            isinstance(root, bytes)
            and isinstance(nonce, bytes)
            and all(isinstance(t, str) for t in texts)
            and all(isinstance(c, int) for c in counts)
        ):
            raise ValueError(f"not a lease: {raw.hex()}")
        return cls(root=root, kind=kind, owner=owner, to=to, nonce=nonce, max=max_copies, until_ms=until_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The owner's yes. The lease is to be fsynced, then signed and sent.

    Attributes:
        cancelled: this peer's own round that the grant ended, if any.
    """

    lease: Lease
    cancelled: "Cancel | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The owner's no, or why a round cannot begin. `detail` is for people."""

    reason: Refusal
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proceed:
    """Everyone leased: release now, after asking `Leases.may_release_now` once more right before the transaction."""

    nonce: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """The round is over and nothing may be released.

    Attributes:
        kind: that of the leases.
        give_back: peers to tell that this nonce's lease is no longer needed.
    """

    root: bytes
    kind: str
    nonce: bytes
    reason: str
    give_back: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class ReleaseRound:
    """One attempt of this peer to let a root go.

    Attributes:
        kept_on: the kind on which those who are asked keep it.
        needed: peers whose leases it takes, all of them.
        leased_by: the peers of `needed` that granted so far.
        decided: all leases are in and the release is being carried out.
    """

    root: bytes
    kind: str
    kept_on: str
    nonce: bytes
    needed: frozenset[str]
    deadline_ms: int
    leased_by: set[str] = field(default_factory=set)
    decided: bool = False


class Leases:
    """All leases that this peer granted and all rounds that it runs.

    A round is in memory only: after a crash nothing was promised to this peer that it would still use, while what it
    promised is read back from disk.
    """

    def __init__(self, me: str, granted: Iterable[Lease] = (), *, now_ms: int | None = None) -> None:
        self.me = me
        self._granted: dict[tuple[bytes, str], dict[tuple[str, bytes], Lease]] = {}
        self._rounds: dict[bytes, ReleaseRound] = {}
        self._over: dict[tuple[str, bytes], None] = {}
        for lease in granted:
            if now_ms is not None and lease.until_ms > now_ms + LEASE_MS:  # the clock has been put back since
                lease = replace(lease, until_ms=now_ms + LEASE_MS)
            self._granted.setdefault((lease.root, lease.kind), {})[lease.to, lease.nonce] = lease

    # the owner's side

    def ask(
        self,
        root: bytes,
        kind: str,
        asker: str,
        wanted_max: int,
        *,
        nonce: bytes,
        now_ms: int,
        complete: bool,
        known_max: int,
        blocked: str = "",
    ) -> Granted | Refused:
        """Answer `asker`, who wants this peer to keep the root for an hour.

        Args:
            wanted_max: the factor that the asker knows.
            nonce: of the asker's round; it names the lease.
            complete: whether every block is here, read and listed in this peer's holdings.
            known_max: the factor after the asker's pins were merged and fsynced; 0 where no pin wants the root.
            blocked: why this peer grants nothing at all (recovering, leaving), or "".
        """
        if (asker, nonce) in self._over:
            return Refused(reason="over", detail="the round is over")
        if blocked:
            return Refused(reason="blocked", detail=blocked)
        if not complete:
            return Refused(reason="incomplete", detail="this peer does not hold the root complete")
        if known_max > wanted_max:
            return Refused(reason="higher_max", detail=f"asked for max {wanted_max}, pins here want {known_max}")
        rival = self._round_of(root, kind)
        if rival is not None and (rival.decided or asker not in rival.needed or asker > self.me):
            return Refused(reason="releasing", detail="this peer is letting the root go itself")
        held = self._live(root, kind, now_ms)
        if (asker, nonce) not in held and len(held) >= MAX_LEASES_PER_ROOT:
            return Refused(reason="too_many", detail=f"{len(held)} leases of the root are out already")
        until_ms = now_ms + LEASE_MS
        lease = Lease(root=root, kind=kind, owner=self.me, to=asker, nonce=nonce, max=wanted_max, until_ms=until_ms)
        self._granted[root, kind] = {**held, (asker, nonce): lease}
        if rival is None:
            return Granted(lease=lease)
        return Granted(lease=lease, cancelled=self._end(rival, f"{asker} asked for the same root and goes first"))

    def given_back(self, root: bytes, kind: str, asker: str, nonce: bytes) -> Lease | None:
        """End a lease that `asker` no longer needs; returns it, so that it goes from disk as well.

        A round that ends while this peer still thinks about its ask is remembered: a lease that is granted after it was
        given back would bind this peer for an hour, and nobody would use it.
        """
        self._over[asker, nonce] = None
        if len(self._over) > MAX_OVER:
            del self._over[next(iter(self._over))]
        held = self._granted.get((root, kind), {})
        return held.pop((asker, nonce), None)

    def over(self, asker: str) -> tuple[Lease, ...]:
        """End all leases of an asker that has started anew, and return them so that they go from disk as well."""
        ended = tuple(lease for lease in self.leases() if lease.to == asker)
        for lease in ended:
            self.given_back(lease.root, lease.kind, asker, lease.nonce)
        return ended

    def bound(self, root: bytes, kind: str, now_ms: int) -> bool:
        """Whether a lease forbids this peer to release or delete the root, wanted or not."""
        return bool(self._live(root, kind, now_ms))

    def leases(self) -> tuple[Lease, ...]:
        """Everything granted and not yet expired away."""
        return tuple(lease for held in self._granted.values() for lease in held.values())

    def expire(self, now_ms: int) -> tuple[Lease, ...]:
        """Forget the leases that ended, and return them so that they go from disk as well."""
        ended = tuple(lease for lease in self.leases() if lease.until_ms <= now_ms)
        for lease in ended:
            held = self._granted[lease.root, lease.kind]
            del held[lease.to, lease.nonce]
            if not held:
                del self._granted[lease.root, lease.kind]
        return ended

    # the asker's side

    def begin(
        self,
        root: bytes,
        kind: str,
        needed: Iterable[str],
        max_copies: int,
        *,
        nonce: bytes,
        now_ms: int,
        kept_on: str | None = None,
    ) -> ReleaseRound | Refused:
        """Start a round; the caller asks every other peer of `needed` with this nonce.

        Args:
            kept_on: the kind that the root has moved to and that `needed` hold it on; None is `kind`. This peer may
                then be one of them: the caller sees to it that it holds the root there, now and when it releases.

        Raises:
            ValueError: `needed` has fewer than `max_copies` peers that count, or the nonce is in use.
        """
        kept_on = kept_on or kind
        peers = frozenset(needed) - {self.me}
        own = kept_on != kind and self.me in needed
        if len(peers) + own < max_copies:
            raise ValueError(f"{len(peers) + own} peers to ask where {max_copies} leases are needed")
        if nonce in self._rounds:
            raise ValueError(f"nonce {nonce.hex()} names a round already")
        if self.bound(root, kind, now_ms):
            return Refused(reason="leased", detail="this peer promised to keep the root")
        if any(one.root == root for one in self._rounds.values()):
            return Refused(reason="releasing", detail="a round for the root is running")
        started = ReleaseRound(
            root=root, kind=kind, kept_on=kept_on, nonce=nonce, needed=peers, deadline_ms=now_ms + ROUND_MS
        )
        started.decided = not peers
        self._rounds[nonce] = started
        return started

    def granted(self, lease: Lease, *, proven: bool, now_ms: int) -> Proceed | Cancel | None:
        """Take a lease in that its owner signed. `proven`: the audit proof with it matched this peer's own bytes.

        Returns: None while others are still awaited, or where the lease answers nothing that was asked.
        """
        running = self._rounds.get(lease.nonce)
        if running is None:
            return Cancel(
                root=lease.root,
                kind=lease.kind,
                nonce=lease.nonce,
                reason="the round is over",
                give_back=frozenset({lease.owner}),
            )
        mine = (lease.root, lease.kind, lease.to) == (running.root, running.kept_on, self.me)
        if running.decided or not mine or lease.owner not in running.needed:
            return None
        if not proven:
            return self.cancel(lease.nonce, f"{lease.owner} did not prove that it holds the root")
        if now_ms >= running.deadline_ms:
            return self.cancel(lease.nonce, "the answers came too late")
        running.leased_by.add(lease.owner)
        if running.leased_by < running.needed:
            return None
        running.decided = True
        return Proceed(nonce=lease.nonce)

    def refused(self, nonce: bytes, owner: str, reason: str) -> Cancel | None:
        """Take a refusal, or a failed call, in: it ends the round."""
        running = self._rounds.get(nonce)
        if running is None or owner not in running.needed or running.decided:
            return None
        return self.cancel(nonce, f"{owner} refused: {reason}")

    def tick(self, now_ms: int) -> tuple[Cancel, ...]:
        """End the rounds that waited too long."""
        late = [one for one in self._rounds.values() if not one.decided and now_ms >= one.deadline_ms]
        return tuple(self._end(one, f"no answer from {', '.join(sorted(one.needed - one.leased_by))}") for one in late)

    def may_release_now(self, nonce: bytes, now_ms: int) -> bool:
        """Whether the round still stands; asked right before the store's transaction.

        A process that was frozen between answer and release finds its leases too old here.
        """
        running = self._rounds.get(nonce)
        return running is not None and running.decided and now_ms < running.deadline_ms

    def finish(self, nonce: bytes) -> Cancel | None:
        """The release was carried out, durably, or given up: the leases go back."""
        return self.cancel(nonce, "finished")

    def cancel(self, nonce: bytes, reason: str) -> Cancel | None:
        """End a round; None where it is over already."""
        running = self._rounds.get(nonce)
        return self._end(running, reason) if running else None

    def _end(self, running: ReleaseRound, reason: str) -> Cancel:
        del self._rounds[running.nonce]
        return Cancel(
            root=running.root, kind=running.kept_on, nonce=running.nonce, reason=reason, give_back=running.needed
        )

    def _round_of(self, root: bytes, kind: str) -> ReleaseRound | None:
        return next((one for one in self._rounds.values() if one.root == root and one.kind == kind), None)

    def _live(self, root: bytes, kind: str, now_ms: int) -> dict[tuple[str, bytes], Lease]:
        held = self._granted.get((root, kind), {})
        return {name: lease for name, lease in held.items() if lease.until_ms > now_ms}
