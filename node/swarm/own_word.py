"""Own records by which others' pins may be cut short: an expulsion, a departure, a charter.

What they cut short is put aside before they are on disk (`node.swarm.sparing`), so they cannot be written first, as our
other records are. And yet a disk that refuses is to change nothing, and a crash in between is to lose nothing. So they are
kept apart before anything is done by them, and done once more at the next start if they are still there.
"""

import logging
from collections.abc import Sequence
from typing import Final

import libipld
import trio

from protocol.codec import encode_value
from protocol.records import Admission, Flow, Pin, Record, Signed
from store.errors import StoreError
from store.store import Store

log = logging.getLogger("pinakothek.records")

FACT: Final = "own_word/"


def may_cut_short(signed: Signed[Record]) -> bool:
    """Whether pins may count no more because of it; other than that which takes a pin's place."""
    return not isinstance(signed.record, Pin | Flow | Admission)


class OwnWord:
    """Those of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, signed: Sequence[Signed[Record]]) -> str:
        """Keep them, durably; the name to `forget` them by. Raises: StoreError: the disk refuses."""
        name = FACT + signed[0].digest.hex()
        raw = encode_value([one.raw for one in signed])
        await trio.to_thread.run_sync(self._store.set_fact, name, raw)
        return name

    async def forget(self, name: str) -> None:
        """All that comes of them is on disk. Where that refuses now, they are done once more: it changes nothing."""
        try:
            await trio.to_thread.run_sync(self._store.set_fact, name, None)
        except StoreError as error:
            log.info("what was written last is kept until the next start: %s", error)

    async def kept(self) -> dict[str, list[bytes]]:
        """What was kept and not forgotten, by name."""
        kept: dict[str, list[bytes]] = {}
        for name, raw in (await trio.to_thread.run_sync(self._store.facts, FACT)).items():
            try:
                kept[name] = [bytes(memoryview(one)) for one in libipld.decode_dag_cbor(raw)]
            except (ValueError, TypeError, RecursionError) as error:
                log.warning("%s is not readable, and left as it is: %s", name, error)
        return kept
