"""How a signed record looks to the store: opaque bytes, with a form that people can read beside them."""

from typing import Any

from node.swarm.seals import Seals
from protocol.records import Record, Signed
from protocol.signed import body_of
from store.cid import cid_text
from store.store import RecordEntry

CIDS = ("root", "original", "parent")


def entry_of(signed: Signed[Record], seals: Seals | None = None) -> RecordEntry:
    """The record as the store keeps it; sealed if its signature has been checked by whoever hands in `seals`."""
    return RecordEntry(
        key=signed.storage_key,
        kind=signed.record.KIND,
        raw=signed.raw,
        readable=readable(body_of(signed.raw)),
        seal=None if seals is None else seals.seal(signed.raw),
    )


def readable(body: dict[str, Any]) -> dict[str, Any]:
    """A record's fields with CIDs as people write them."""
    for name in CIDS:
        if name in body:
            body[name] = cid_text(body[name])
    return body
