"""Who may do what: the roles that stand, worked out anew from all charters, admissions, expulsions and departures.

That is a few hundred records, and they change rarely; so nothing here is incremental, and the outcome depends on the
set alone, never on the order in which it arrived.
"""

from collections.abc import Set
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, NamedTuple

from protocol.admission import CURATOR, KEEPER, ROLES, Admission, Departure, Expulsion
from protocol.certificate import Chain, chain_of
from protocol.charter_chain import CharterChain
from protocol.errors import Refused
from protocol.identity import PeerId
from protocol.records import Record, Signed
from protocol.stamp import ZERO, Stamp

OVER_USED: Final = 64
"""Admissions of one certificate that are kept although they do not count: guess."""
CHAINS: Final = 32_768
"""Chains remembered at most: guess, more than are kept. Those of refused admissions are there until roles are judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds for one peer.

    Attributes:
        roles: of `curator`, `keeper`, `guest`.
        since: stamp at which the last admission was issued.
        left: the peer has said since then that it left; its records still count.
        expelled: a steward has said so since every admission; then `roles` is empty.
        expelled_at: stamp of the last expulsion, even if an admission was issued since; zero without one.
    """

    roles: tuple[str, ...]
    since: Stamp
    left: bool
    expelled: bool
    expelled_at: Stamp = ZERO

    @property
    def member(self) -> bool:
        return not self.left and not self.expelled and (CURATOR in self.roles or KEEPER in self.roles)


@dataclass(slots=True)
class Roles:
    """The outcome.

    Attributes:
        standings: what holds for each peer.
        counting: digests of the records that count for it.
        redeemed: peers with a right admission under each certificate (by its hash), over-used ones included.
        surplus: right admissions that cannot count, as enough others under their certificate come before them; not kept.
    """

    standings: dict[PeerId, Standing] = field(default_factory=dict)
    counting: set[bytes] = field(default_factory=set)
    redeemed: dict[bytes, frozenset[PeerId]] = field(default_factory=dict)
    surplus: tuple[Signed[Record], ...] = ()

    def roles_of(self, peer: str) -> tuple[str, ...]:
        standing = self.standings.get(PeerId(peer))
        return () if standing is None else standing.roles

    def has(self, peer: str, role: str) -> bool:
        return role in self.roles_of(peer)


class ChainCache:
    """Chains checked once: two signatures each, and the outcome never changes."""

    def __init__(self, swarm: bytes) -> None:
        self._swarm = swarm
        self._known: dict[bytes, Chain | None] = {}

    def chain(self, signed: Signed[Record]) -> Chain | None:
        """Return an admission's chain, or None if it has none that is right."""
        if signed.digest not in self._known:
            assert isinstance(signed.record, Admission)
            try:
                self._known[signed.digest] = chain_of(signed.record, self._swarm)
            except Refused:
                self._known[signed.digest] = None
        found = self._known[signed.digest]
        if len(self._known) > CHAINS:
            del self._known[next(iter(self._known))]
        return found

    def keep_only(self, digests: Set[bytes]) -> None:
        """Forget the chains of all other admissions."""
        for digest in self._known.keys() - digests:
            del self._known[digest]


def judge(charters: CharterChain, chains: ChainCache, records: list[Signed[Record]]) -> Roles:
    """Work out who stands.

    Args:
        charters: judged already.
        chains: shared between calls.
        records: every admission, expulsion and departure kept.
    """
    roles = Roles()
    expelled = _expulsions(charters, records, roles)
    issued = _admissions(charters, chains, records, roles)
    departures = {s.author: s for s in records if isinstance(s.record, Departure)}
    for peer in issued.keys() | expelled.keys():
        words = issued.get(peer, [])
        since = max((word.issued for word in words), default=ZERO)
        if peer in expelled and since <= expelled[peer]:
            roles.standings[peer] = Standing(
                roles=(), since=since, left=False, expelled=True, expelled_at=expelled[peer]
            )
            continue
        given = _given([word for word in words if peer not in expelled or word.issued > expelled[peer]])
        departure = departures.get(peer)
        left = departure is not None and not _back(departure) and departure.stamp > since
        roles.standings[peer] = Standing(
            roles=given, since=since, left=left, expelled=False, expelled_at=expelled.get(peer, ZERO)
        )
        if departure is not None:
            roles.counting.add(departure.digest)
    return roles


class _Word(NamedTuple):
    """What one admission gives; `by_steward`: a steward's own, which takes away as well."""

    issued: Stamp
    roles: tuple[str, ...]
    by_steward: bool


def _given(words: list[_Word]) -> tuple[str, ...]:
    """Add up what a peer was given since a steward last said himself what it is.

    An invite only ever gives: whoever holds the line of one can redeem it in anybody's name, and what a curator has
    pinned must not hang on that.
    """
    settled = max((word.issued for word in words if word.by_steward), default=ZERO)
    roles = {role for word in words if word.issued >= settled for role in word.roles}
    return tuple(role for role in ROLES if role in roles)


def _back(signed: Signed[Record]) -> bool:
    assert isinstance(signed.record, Departure)
    return signed.record.back


def _expulsions(charters: CharterChain, records: list[Signed[Record]], roles: Roles) -> dict[PeerId, Stamp]:
    """Return when each expelled peer was, by the latest word of a steward."""
    latest: dict[PeerId, Signed[Record]] = {}
    for signed in records:
        if isinstance(signed.record, Expulsion) and charters.is_steward(signed.author, signed.stamp):
            peer = signed.record.peer
            if peer not in latest or signed.rank > latest[peer].rank:
                latest[peer] = signed
    roles.counting.update(signed.digest for signed in latest.values())
    return {peer: signed.stamp for peer, signed in latest.items()}


def _admissions(
    charters: CharterChain, chains: ChainCache, records: list[Signed[Record]], roles: Roles
) -> dict[PeerId, list[_Word]]:
    """Return what was given to each peer and when it was issued, over-used certificates cut to their uses.

    Of several admissions under one certificate the first counts, so that a second redemption changes nothing; of
    several that a steward signed himself the last, so that he can give other roles.
    """
    given: dict[PeerId, list[_Word]] = {}
    own_word: dict[PeerId, Signed[Record]] = {}
    first: dict[bytes, dict[PeerId, Signed[Record]]] = {}
    certified: dict[bytes, Chain] = {}
    right: dict[bytes, list[Signed[Record]]] = {}
    for signed in records:
        admission = signed.record
        if not isinstance(admission, Admission):
            continue
        peer = admission.peer
        if admission.certificate is None:
            if charters.is_steward(signed.author, signed.stamp) and (
                peer not in own_word or signed.rank > own_word[peer].rank
            ):
                own_word[peer] = signed
            continue
        chain = chains.chain(signed)
        if chain is not None and charters.is_steward(chain.steward, chain.certificate.stamp):
            certified[chain.certificate_hash] = chain
            right.setdefault(chain.certificate_hash, []).append(signed)
            under = first.setdefault(chain.certificate_hash, {})
            if peer not in under or signed.rank < under[peer].rank:
                under[peer] = signed
    for signed in own_word.values():
        _give(given, roles, signed, signed.stamp, by_steward=True)
    for certificate_hash, under in first.items():
        certificate = certified[certificate_hash].certificate
        roles.redeemed[certificate_hash] = frozenset(under)
        for signed in sorted(under.values(), key=_first_come)[: certificate.uses]:
            _give(given, roles, signed, certificate.stamp, by_steward=False)
    roles.surplus = tuple(signed for under in right.values() for signed in _surplus(under, roles.counting))
    return given


def _surplus(right: list[Signed[Record]], counting: set[bytes]) -> list[Signed[Record]]:
    """Whoever holds an invite's line can redeem it for as many as he makes up: of what is over-used some are kept."""
    idle = [signed for signed in right if signed.digest not in counting]
    return sorted(idle, key=attrgetter("rank"))[OVER_USED:] if len(idle) > OVER_USED else []


def _give(
    given: dict[PeerId, list[_Word]], roles: Roles, signed: Signed[Record], issued: Stamp, *, by_steward: bool
) -> None:
    assert isinstance(signed.record, Admission)
    given.setdefault(signed.record.peer, []).append(_Word(issued, signed.record.roles, by_steward))
    roles.counting.add(signed.digest)


def _first_come(signed: Signed[Record]) -> tuple[Stamp, str]:
    assert isinstance(signed.record, Admission)
    return signed.stamp, signed.record.peer
