"""How a signed record looks to the store: opaque bytes, with a form that people can read beside them."""

import base64
from typing import Any

from protocol.records import Record, Signed
from store.cid import cid_text
from store.errors import BadCid
from store.store import RecordEntry

CIDS = frozenset({"root", "original", "parent"})


def entry_of(signed: Signed[Record]) -> RecordEntry:
    """The record as the store keeps it."""
    return RecordEntry(
        key=signed.storage_key,
        kind=signed.record.KIND,
        raw=signed.raw,
        readable={"author": signed.author, **readable(signed.record.to_body())},
    )


def readable(body: dict[str, Any]) -> dict[str, Any]:
    """A record's fields in JSON's types: CIDs as people write them, other bytes in base64."""
    return {name: _plain(name, value) for name, value in body.items()}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        if name in CIDS:
            try:
                return cid_text(value)
            except BadCid:
                pass
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value]
    return value
