"""Who was cloned is no replica after a restart of who has seen it either, until it begins a higher epoch."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import trio

from node.running import Daemon
from node.swarm.heard import load_heard, save_heard
from protocol.beat import SignedBeat, open_beat, sign_beat
from protocol.holdings import ElementSet
from protocol.identity import KeyPair
from store.store import Store
from tests.swarm.fellows import Founded, Honest
from tests.wire_examples import BEAT


def beat(key: KeyPair, seq: int, epoch: int, name: str = "ada") -> SignedBeat:
    summary = ElementSet().summary(epoch, 1)
    return open_beat(sign_beat(replace(BEAT, incarnation=1, seq=seq, name=name, holdings=summary), key))


def take(peer: Honest, signed: SignedBeat) -> None:
    if peer.knowledge.look_at_beat(signed):
        peer.knowledge.take_beat(signed)


async def test_a_clone_is_one_after_a_restart_until_it_begins_a_higher_epoch(tmp_path: Path) -> None:
    founded = Founded(2)
    me, ada = founded.keys
    store = Store.open(tmp_path)
    try:
        before, after = Honest(founded, me, store), Honest(founded, me, store)
        for peer in (before, after):
            await peer.records.accept([signed.raw for signed in founded.records])
            peer.knowledge.standings_changed()
        take(before, beat(ada, 1, epoch=3))
        take(before, beat(ada, 1, epoch=3, name="eve"))
        assert before.knowledge.book.of(ada.peer_id).cloned

        parts = SimpleNamespace(knowledge=before.knowledge)
        daemon: Any = SimpleNamespace(parts=parts, _inner=SimpleNamespace(heard_before={}))
        save_heard(tmp_path, Daemon._all_heard(daemon))
        kept = load_heard(tmp_path)
        after.knowledge.recall_clones({p: one.cloned_epoch for p, one in kept.items() if one.cloned_epoch is not None})
        take(after, beat(ada, 2, epoch=3))
        assert after.knowledge.book.of(ada.peer_id).cloned
        take(after, beat(ada, 3, epoch=4))
        assert not after.knowledge.book.of(ada.peer_id).cloned
        await trio.lowlevel.checkpoint()
    finally:
        store.close()
