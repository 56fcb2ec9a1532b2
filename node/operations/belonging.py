"""What `status` and `doctor` say of the swarm's constitution: expelled, a forked charter, a cloned identity."""

from collections.abc import Iterator

from node.events import instant
from node.parts import Parts
from node.rows import CheckRow
from node.status_rows import Alert
from protocol.admission import Expulsion

TWIN = "stop one of the two daemons, then `doctor --accept` on the one that stays"


def clones(parts: Parts) -> list[str]:
    """Peers that two daemons speak for, as known here; this one among them if a member says so."""
    cloned = [str(peer) for peer, held in parts.knowledge.book.peers().items() if held.cloned]
    return sorted(cloned) + ([parts.key.peer_id] if parts.twins.told_by else [])


def expulsion(parts: Parts) -> str | None:
    """Who expelled this peer, when and why; None where nobody has."""
    counting, me = parts.records.counting, parts.key.peer_id
    standing, signed = counting.standing(me), counting.expulsion_of(me)
    if standing is None or not standing.expelled or signed is None:
        return None
    assert isinstance(signed.record, Expulsion)
    reason = f": {signed.record.reason}" if signed.record.reason else ""
    return f"expelled by steward {signed.author} at {instant(signed.stamp.ms)}{reason}"


def alerts(parts: Parts) -> Iterator[Alert]:
    """What a person should know first of it."""
    told = expulsion(parts)
    if told is not None:
        yield Alert(check="expelled", detail=f"{told}; nothing here counts any more, and nothing is deleted")
    if parts.records.counting.forked:
        yield Alert(check="charter fork", detail="two charters stand; a steward's `charter set` settles it")
    for peer_id in clones(parts):
        yield Alert(check="clone", detail=f"two daemons speak as {_whose(parts, peer_id)}: {TWIN}")


def _whose(parts: Parts, peer_id: str) -> str:
    return f"this peer, says {parts.twins.told_by}" if peer_id == parts.key.peer_id else peer_id


def checks(parts: Parts) -> list[CheckRow]:
    """Whether its promises hold."""
    counting = parts.records.counting
    told, cloned, roles = expulsion(parts), clones(parts), counting.role(parts.key.peer_id)
    return [
        CheckRow(check="membership", ok=told is None, detail=told or ", ".join(roles) or "left"),
        CheckRow(check="clone", ok=not cloned, detail=", ".join(cloned) or "none"),
        CheckRow(check="charter", ok=not counting.forked, detail="charter fork" if counting.forked else "one stands"),
    ]
