"""Which charter holds: the tree of charters that grew from the first, and the one branch of it that is in force.

A charter follows the first of those it names in `previous`, and settles the others: branches that it lets rest. It is
valid if it and all that it names are known and a steward of the one it follows signed it, or the key which that one
calls `recovery`; only the latter may leave a steward out or name another recovery key. Of two that follow the same one
the branch with a charter signed by the recovery key wins, else the lower hash. The swarm is forked until a charter on
the winning branch settles every loser.

Whoever is a steward of the winning branch can settle any other: were the losers' stewards asked too, one who was removed
with the recovery key could keep a fork open for ever.
"""

from typing import Final

from protocol.charter import Charter, charter_hash
from protocol.identity import PeerId
from protocol.records import Record, Signed
from protocol.stamp import Stamp

CHARTERS_PER_AUTHOR: Final = 256
"""Bounds what one steward's key can make every peer keep: guess, no swarm changes its charter so often."""


class CharterChain:
    """The charters of one swarm.

    Args:
        swarm: hash of the first charter, 32 bytes.

    Attributes:
        valid: every valid charter by its hash, losing branches included.
        branch: the winning branch from the first charter on.
        forked: some valid charter has lost and the winning branch does not settle it.
        unsettled: the last charter of each such branch, in the order of their hashes.
        append_only_since: stamp of the charter that began the present append-only time; None outside one.
        steward_terms: every key that was ever a steward, with the stamp at which its word ended.
    """

    def __init__(self, swarm: bytes) -> None:
        self.swarm = swarm
        self.valid: dict[bytes, Signed[Record]] = {}
        self._hashes: list[bytes] = []
        self.branch: tuple[Charter, ...] = ()
        self.forked = False
        self.unsettled: tuple[Signed[Record], ...] = ()
        self.append_only_since: Stamp | None = None
        self.steward_terms: dict[PeerId, Stamp | None] = {}

    @property
    def tip(self) -> bytes | None:
        """Hash of the charter in force."""
        return self._hashes[-1] if self._hashes else None

    @property
    def charter(self) -> Charter | None:
        return self.branch[-1] if self.branch else None

    def is_steward(self, key: str, stamp: Stamp) -> bool:
        """Tell whether what this key stamped then carries a steward's word.

        A key that has been left out keeps its word for what is stamped before the charter that left it out.
        """
        if key not in self.steward_terms:
            return False
        until = self.steward_terms[PeerId(key)]
        return until is None or stamp < until

    def was_steward(self, key: str) -> bool:
        return key in self.steward_terms

    def allows(self, signed: Signed[Record]) -> bool:
        """Tell whether a charter is valid by those that are: the first of this swarm, or one that may follow."""
        charter = _charter(signed)
        if charter.number == 1:
            return charter_hash(signed.raw) == self.swarm and signed.author in charter.stewards
        named = [_charter(self.valid[each]) for each in charter.previous if each in self.valid]
        return len(named) == len(charter.previous) and _follows(signed, named)

    def rebuild(self, charters: list[Signed[Record]]) -> None:
        """Judge anew from every charter known, valid or not."""
        self.valid = {}
        parents: dict[bytes, Charter] = {}
        children: dict[bytes, list[bytes]] = {}
        for signed in sorted(charters, key=_number):
            charter, digest = _charter(signed), charter_hash(signed.raw)
            if charter.number == 1:
                holds = digest == self.swarm and signed.author in charter.stewards
            else:
                holds = all(p in parents for p in charter.previous) and _follows(
                    signed, [parents[p] for p in charter.previous]
                )
            if holds:
                self.valid[digest] = signed
                parents[digest] = charter
                if charter.previous:
                    children.setdefault(charter.previous[0], []).append(digest)
        self._hashes = self._winning(children)
        self.branch = tuple(parents[digest] for digest in self._hashes)
        reachable = _with_ancestors(self._hashes, parents)
        losers = parents.keys() - reachable
        passed = {parent for loser in losers for parent in parents[loser].previous}
        self.forked = bool(losers)
        self.unsettled = tuple(self.valid[digest] for digest in sorted(losers - passed))
        self.steward_terms = _stewards(self.branch)
        self.append_only_since = _append_only_since(self.branch)

    def _winning(self, children: dict[bytes, list[bytes]]) -> list[bytes]:
        """Return the hashes of the winning branch, first charter first."""
        if self.swarm not in self.valid:
            return []
        recovered: set[bytes] = set()
        for digest in sorted(self.valid, key=lambda d: -_charter(self.valid[d]).number):
            if self._by_recovery(digest) or any(child in recovered for child in children.get(digest, ())):
                recovered.add(digest)
        branch = [self.swarm]
        while successors := children.get(branch[-1]):
            branch.append(min(successors, key=lambda d: (d not in recovered, d)))
        return branch

    def _by_recovery(self, digest: bytes) -> bool:
        signed = self.valid[digest]
        previous = _charter(signed).previous
        return bool(previous) and signed.author == _charter(self.valid[previous[0]]).recovery


def _charter(signed: Signed[Record]) -> Charter:
    assert isinstance(signed.record, Charter)
    return signed.record


def _number(signed: Signed[Record]) -> int:
    return _charter(signed).number


def _follows(signed: Signed[Record], named: list[Charter]) -> bool:
    """Tell whether the first of those it names allows this charter."""
    charter, parent = _charter(signed), named[0]
    if charter.number != 1 + max(each.number for each in named):
        return False
    if signed.author == parent.recovery:
        return True
    keeps = set(parent.stewards) <= set(charter.stewards) and charter.recovery == parent.recovery
    return signed.author in parent.stewards and keeps


def _with_ancestors(hashes: list[bytes], parents: dict[bytes, Charter]) -> set[bytes]:
    found: set[bytes] = set()
    left = list(hashes)
    while left:
        digest = left.pop()
        if digest not in found:
            found.add(digest)
            left.extend(parents[digest].previous)
    return found


def _stewards(branch: tuple[Charter, ...]) -> dict[PeerId, Stamp | None]:
    until: dict[PeerId, Stamp | None] = {}
    for charter in branch:
        for key in until:
            if until[key] is None and key not in charter.stewards:
                until[key] = charter.stamp
        until.update(dict.fromkeys(charter.stewards))
    return until


def _append_only_since(branch: tuple[Charter, ...]) -> Stamp | None:
    since = None
    for charter in branch:
        since = (since or charter.stamp) if charter.append_only else None
    return since
