"""Which swarm a data directory belongs to is found in its records, in whatever order they lie there."""

from pathlib import Path

from node.setup import SWARM_FACT
from node.swarm.belonging import swarm_of
from node.swarm.storing import entry_of
from protocol.amending import amended
from protocol.author import Author
from protocol.founding import found_swarm
from protocol.identity import KeyPair
from protocol.records import KEEPER, Admission, Record, Signed
from protocol.recordset import IDLE_WORDS_PER_AUTHOR, RecordSet
from store.store import Store

STEWARD, SECOND, RECOVERY = (KeyPair(bytes([n]) * 32) for n in (1, 2, 3))
NOW_MS = 1_800_000_000_000


def test_a_peer_admitted_after_many_others_finds_its_swarm_whichever_record_comes_first(tmp_path: Path) -> None:
    founding = found_swarm(STEWARD.peer_id, STEWARD, RECOVERY.peer_id, name="s", now_ms=NOW_MS)
    counting = RecordSet(founding.swarm)
    counting.merge_all(founding.records, NOW_MS)
    stewards = (STEWARD.peer_id, SECOND.peer_id)
    charter = Author(STEWARD).write(amended(counting.charters, stewards=stewards), NOW_MS + 1)
    second = Author(SECOND)
    peers = [KeyPair(b"peer" + n.to_bytes(28, "big")).peer_id for n in range(2 * IDLE_WORDS_PER_AUTHOR)]
    admissions = [second.write(Admission(peer=peer, roles=(KEEPER,)), NOW_MS + 2) for peer in peers]
    store = Store.open(tmp_path)
    try:
        words: list[Signed[Record]] = [*admissions, charter, *founding.records]
        store.append_records(list(map(entry_of, words)))
        assert swarm_of(store, peers[-1]) == founding.swarm_id
        assert store.fact(SWARM_FACT) == founding.swarm_id.encode()
    finally:
        store.close()
