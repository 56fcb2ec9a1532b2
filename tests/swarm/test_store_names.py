"""A member that names another's embedded store takes nothing from it: neither its copies nor its turn."""

from pathlib import Path

from node.replication.beliefs import Beliefs
from node.replication.view import RootKey
from node.replication.weighing import Roster
from node.swarm.speaking import Description
from protocol.beat import BackendReport, Beat, open_beat, sign_beat
from protocol.holdings import ElementSet
from store.store import Store
from tests.swarm.fellows import Founded, Honest


async def test_nobody_speaks_for_anothers_embedded_store(tmp_path: Path) -> None:
    founded = Founded(2)
    store = Store.open(tmp_path)
    try:
        first, last = sorted(founded.keys, key=lambda key: key.peer_id)
        peer = Honest(founded, last, store)
        await peer.records.accept([signed.raw for signed in founded.records])
        peer.knowledge.standings_changed()
        backends = (BackendReport(kind="ipfs", store_id=store.store_id, full=False),)
        beat = Beat(
            incarnation=1, seq=1, clock_ms=0, name="m", capacity_bytes=10**9, used_bytes=0, backends=backends,
            records_digest=bytes(32), holdings=ElementSet().summary(1, 0), version="0",
        )  # fmt: skip
        peer.knowledge.take_beat(open_beat(sign_beat(beat, first)))
        about = Description(state="active", capacity_bytes=10**9, used_bytes=0, backends=backends)
        beliefs = Beliefs(
            peer.knowledge, describe=lambda: about, linked=lambda: frozenset({first.peer_id}), blocked=lambda: None
        )
        roster = Roster(beliefs.view([RootKey(b"root", "ipfs")]), "ipfs")
        assert len(roster.slots) == 2
        assert roster.mine is not None
        assert roster.speaker(roster.mine) == last.peer_id
    finally:
        store.close()
