"""Which swarm a data directory belongs to: a fact in the catalogue, or, where that was lost, what the records say.

A swarm's id is the hash of its first charter, and that is among the records. A stranger may have sent charters, too, so
only one under which this very peer was admitted (or expelled) will do.
"""

from node.setup import SWARM_FACT
from protocol.charter import Charter, swarm_hash, swarm_id_of
from protocol.records import Flow, Pin, parse_record
from protocol.recordset import RecordSet
from store.store import Store


def swarm_of(store: Store, peer_id: str) -> str | None:
    """The id of the swarm that `peer_id`, whose store this is, belongs to; written down anew if need be.

    Returns:
        None where nothing says so, or several first charters do.
    """
    fact = store.fact(SWARM_FACT)
    if fact is not None:
        return fact.decode()
    found = _admitting(store, peer_id)
    if len(found) != 1:
        return None
    store.set_fact(SWARM_FACT, found[0].encode())
    return found[0]


def _admitting(store: Store, peer_id: str) -> list[str]:
    parsed = [parse_record(entry.raw) for entry in store.load_records()]
    records = [signed for signed in parsed if signed is not None and not isinstance(signed.record, Pin | Flow)]
    found = []
    for first in records:
        if isinstance(first.record, Charter) and not first.record.previous:
            swarm_id = swarm_id_of(first.raw)
            counting = RecordSet(swarm_hash(swarm_id))
            counting.restore(records)
            if counting.standing(peer_id) is not None:
                found.append(swarm_id)
    return found
