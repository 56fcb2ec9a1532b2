"""Which records count: those whose author's role stands, by the charters and admissions known now.

| record | counts if its author is |
|---|---|
| charter | allowed by the charter it follows (`protocol.charter_chain`) |
| admission, expulsion, departure | see `protocol.roles` |
| pin, flow | a curator or a steward |
| deleted pin | a steward |

While the charter is append-only, a removal stamped since it became so does not count.
"""

from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from protocol.admission import CURATOR, Admission, Departure, Expulsion
from protocol.charter import DEFAULT_REPLICAS, DEFAULT_TRASH_DAYS, Charter, charter_hash
from protocol.charter_chain import CharterChain
from protocol.fields import Replicas
from protocol.identity import PeerId
from protocol.records import Pin, Record, Signed
from protocol.roles import ChainCache, Roles, judge

_GOVERNING: Final = frozenset({Charter, Admission, Expulsion, Departure})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What judging anew has changed.

    Attributes:
        roles: some peer's standing.
        charter: which charter holds.
        removals: whether removals count, or when the trash is emptied.
        authors: peers whose records may count now and did not before, or the other way round.
    """

    roles: bool
    charter: bool
    removals: bool
    authors: frozenset[PeerId]


class Counting:
    """The rules of one swarm in their present state.

    Attributes:
        trash_days: by the charter in force.
        judged_keys: of the records that the roles were judged by.
    """

    def __init__(self, swarm: bytes) -> None:
        self._swarm = swarm
        self._chains = ChainCache(swarm)
        self.charters = CharterChain(swarm)
        self.roles = Roles()
        self.judged_keys: set[bytes] = set()
        self.trash_days = DEFAULT_TRASH_DAYS
        self._curators: frozenset[PeerId] = frozenset()

    def clamp(self, replicas: Replicas | None) -> Replicas:
        charter = self.charters.charter
        return (replicas or DEFAULT_REPLICAS) if charter is None else charter.clamp(replicas)

    def concerns(self, signed: Signed[Record]) -> bool:
        """Tell whether a record may change who may do what."""
        return type(signed.record) in _GOVERNING

    def known_author(self, author: str) -> bool:
        """Tell whether an author has, or once had by a steward's word, any standing here."""
        return author in self.roles.standings or self.charters.was_steward(author)

    def may_count(self, signed: Signed[Record]) -> bool:
        """Tell whether a record that is new here may come to count, by what is known now."""
        record = signed.record
        if type(record) not in _GOVERNING:  # as nearly all of them are
            return self.stands(signed)
        if isinstance(record, Charter):
            return self.charters.allows(signed)
        if isinstance(record, Departure):
            return signed.author in self.roles.standings
        if isinstance(record, Admission) and record.certificate is not None:
            chain = self._chains.chain(signed)  # by which it proves itself, whoever wrote it
            return chain is not None and self.charters.is_steward(chain.steward, chain.certificate.stamp)
        return self.charters.is_steward(signed.author, signed.stamp)

    def judge(self, records: list[Signed[Record]]) -> Verdict:
        """Judge anew from every kept charter, admission, expulsion and departure."""
        self.judged_keys = {signed.key for signed in records}
        before, charter = self.roles, self.charters.charter
        stewards, removals = self.charters.steward_terms, self._of_removals()
        self.charters = CharterChain(self._swarm)
        self.charters.rebuild([signed for signed in records if isinstance(signed.record, Charter)])
        self.roles = judge(self.charters, self._chains, records)
        self._chains.keep_only({signed.digest for signed in records})
        charter_now = self.charters.charter
        self.trash_days = DEFAULT_TRASH_DAYS if charter_now is None else charter_now.trash_days
        self._curators = frozenset(peer for peer, standing in self.roles.standings.items() if CURATOR in standing.roles)
        moved = self.roles.standings != before.standings
        peers = self.roles.standings.keys() | before.standings.keys()
        authors = {peer for peer in peers if self.roles.roles_of(peer) != before.roles_of(peer)}
        terms = self.charters.steward_terms
        authors |= {PeerId(k) for k in stewards.keys() | terms.keys() if stewards.get(k, 0) != terms.get(k, 0)}
        return Verdict(
            roles=moved,
            charter=charter_now != charter,
            removals=self._of_removals() != removals,
            authors=frozenset(authors),
        )

    def _of_removals(self) -> tuple[object, ...]:
        return self.trash_days, self.charters.append_only_since

    def choose(self, kept: tuple[Signed[Record], ...]) -> Signed[Record] | None:
        """Return the record that counts of those kept of one key."""
        if len(kept) == 1:
            return kept[0] if self.stands(kept[0]) else None
        return max((signed for signed in kept if self.stands(signed)), key=attrgetter("rank"), default=None)

    def stands(self, signed: Signed[Record]) -> bool:
        """Tell whether a record's author may write it, by what is known now."""
        record = signed.record
        if type(record) in _GOVERNING:
            if isinstance(record, Charter):
                return charter_hash(signed.raw) in self.charters.valid
            return signed.digest in self.roles.counting
        if signed.removal:
            since = self.charters.append_only_since
            if since is not None and signed.stamp >= since:
                return False
        if signed.author in self._curators and not (isinstance(record, Pin) and record.deleted):
            return True
        return self.charters.is_steward(signed.author, signed.stamp)

    def uses(self, certificate_hash: bytes) -> frozenset[PeerId]:
        return self.roles.redeemed.get(certificate_hash, frozenset())
