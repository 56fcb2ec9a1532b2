"""Names that a lying member gives to stores and kinds of backend: they cost others neither copies, nor turns, nor plans."""

from dataclasses import replace
from pathlib import Path

from node.replication.beliefs import MOST_STRANGE_KINDS, Beliefs
from node.replication.view import RootKey
from node.replication.weighing import Roster
from node.swarm.speaking import Description
from protocol.beat import BackendReport, Beat, open_beat, sign_beat
from protocol.holdings import ElementSet
from protocol.pin import Pin
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


async def test_pins_that_name_ever_new_kinds_cost_no_plan_for_each(tmp_path: Path) -> None:
    founded = Founded(1)
    store = Store.open(tmp_path)
    try:
        peer = Honest(founded, founded.keys[0], store)
        await peer.records.accept([signed.raw for signed in founded.records])
        roots = [b"\x01\x55\x12\x20" + bytes([n]) * 32 for n in range(3 * MOST_STRANGE_KINDS)]
        kinds = [f"strange {n}" for n in range(len(roots))]
        pins = [Pin(id=root[:16], flow="f", root=root, backend=kind) for root, kind in zip(roots, kinds, strict=True)]
        usual = Pin(id=bytes(16), flow="f", root=roots[-1])
        await peer.records.write(*(replace(pin, id=bytes([n]) * 16) for n, pin in enumerate(pins, 1)), usual)
        about = Description(state="active", capacity_bytes=10**9, used_bytes=0, backends=())
        beliefs = Beliefs(peer.knowledge, describe=lambda: about, linked=lambda: frozenset(), blocked=lambda: None)
        planned = beliefs.keys_of(roots)
        assert len(planned) == MOST_STRANGE_KINDS + 1
        assert RootKey(roots[-1], "ipfs") in planned
        assert beliefs.keys_of(roots) == planned
    finally:
        store.close()


async def test_a_root_that_is_wanted_on_ever_new_kinds_is_looked_at_on_few_of_them(tmp_path: Path) -> None:
    """Each look goes through all its pins: a curator could have every holder do nothing else."""
    founded = Founded(1)
    store = Store.open(tmp_path)
    try:
        peer = Honest(founded, founded.keys[0], store)
        await peer.records.accept([signed.raw for signed in founded.records])
        first, second = (b"\x01\x55\x12\x20" + bytes([n]) * 32 for n in range(2))
        kinds = [f"strange {n:02}" for n in range(3 * MOST_STRANGE_KINDS)]
        pins = [Pin(id=bytes([n]) * 16, flow="f", root=first, backend=kind) for n, kind in enumerate(kinds)]
        await peer.records.write(*pins, Pin(id=b"2" * 16, flow="f", root=second, backend=kinds[-1]))
        about = Description(state="active", capacity_bytes=10**9, used_bytes=0, backends=())
        beliefs = Beliefs(peer.knowledge, describe=lambda: about, linked=lambda: frozenset(), blocked=lambda: None)
        assert [view.kind for view in beliefs.root(RootKey(first, "ipfs")).instead] == kinds[:MOST_STRANGE_KINDS]
        assert [view.kind for view in beliefs.root(RootKey(second, "ipfs")).instead] == kinds[-1:], "else it could go"
    finally:
        store.close()
