"""`init --join` where a peer is that has left its swarm: the same identity is admitted anew, and keeps what it holds.

Members treat a peer that left as a stranger, so its own word that it is back would reach nobody; an invite made since
then does, and stands above its departure.
"""

from pathlib import Path
from typing import Any

from node.config import load
from node.errors import Failed, RefusedByPolicy
from node.events import instant, wall_ms
from node.keys import IDENTITY, read_key
from node.setup import CONTACTS_FACT
from node.swarm.belonging import swarm_of
from node.swarm.storing import entry_of
from node.version import VERSION
from protocol.charter import swarm_hash
from protocol.identity import KeyPair
from protocol.invite import Invite
from protocol.records import Departure, Record, Signed, parse_record, record_key
from protocol.recordset import RecordSet
from store.errors import StoreError
from store.store import Store


def rejoin(folder: Path, invite: Invite) -> dict[str, Any]:
    """Have the peer in `folder` admitted again; its daemon must not be running.

    Returns:
        The fields of `init --json`.

    Raises:
        Failed: the peer there has not left or is running, or nobody could be reached.
        RefusedByPolicy: the invite is another swarm's or older than its leaving, or was refused.
        StoreError: the disk refuses.
    """
    key = read_key(folder, IDENTITY)
    assert key is not None
    try:
        store = Store.open(folder)
    except StoreError as error:
        hint = "choose another --data-dir, or stop the peer there if it has left its swarm"
        raise Failed(f"{folder}: a peer is here already: {error}", hint=hint) from error
    try:
        swarm_id = swarm_of(store, key.peer_id)
        left = None if swarm_id is None else _departure(store, key, swarm_id)
        if left is None:
            raise Failed(f"{folder}: a peer is here already", hint="choose another --data-dir")
        if swarm_id != invite.swarm_id:
            raise RefusedByPolicy(f"{folder}: the peer there left another swarm", hint="choose another --data-dir")
        if invite.certificate.stamp < left.stamp:
            raise RefusedByPolicy(
                f"{folder}: the peer there left its swarm on {instant(left.stamp.ms)}, and this invite is older than that",
                hint="ask for an invite made since then",
            )
        from node.joining import redeem  # libp2p takes most of a second to import

        welcome = redeem(invite, key)
        store.append_records([entry_of(signed) for signed in welcome.records])
        store.set_fact(CONTACTS_FACT, "\n".join(welcome.contacts).encode())
    finally:
        store.close()
    name = load(folder, {}).config.name
    return {"peer_id": key.peer_id, "name": name, "version": VERSION, "data_dir": str(folder), "addrs": []}


def _departure(store: Store, key: KeyPair, swarm_id: str) -> Signed[Record] | None:
    """The peer's word that it has left, where that holds."""
    counting = RecordSet(swarm_hash(swarm_id))
    for entry in store.load_records():
        signed = parse_record(entry.raw)
        if signed is not None:
            counting.merge(signed, wall_ms())
    standing = counting.standing(key.peer_id)
    left = counting.get(record_key(Departure(), key.peer_id, b""))
    return left if standing is not None and standing.left else None
