"""Who was cloned is no replica after a restart of who has seen it either, until it begins a higher epoch."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import trio

from node.running import Daemon
from node.swarm.heard import Heard, load_heard, save_heard
from protocol.beat import SignedBeat, open_beat, sign_beat
from protocol.holdings import ElementSet
from protocol.identity import KeyPair, PeerId
from protocol.membership import Membership
from store.store import Store
from tests.swarm.fellows import Founded, Honest
from tests.wire_examples import BEAT


def beat(key: KeyPair, seq: int, epoch: int, name: str = "ada") -> SignedBeat:
    summary = ElementSet().summary(epoch, 1)
    return open_beat(sign_beat(replace(BEAT, incarnation=1, seq=seq, name=name, holdings=summary), key))


def take(peer: Honest, signed: SignedBeat) -> None:
    if peer.knowledge.look_at_beat(signed):
        peer.knowledge.take_beat(signed)


def daemon(peer: Honest, heard: dict[PeerId, Heard]) -> Any:
    return SimpleNamespace(parts=SimpleNamespace(knowledge=peer.knowledge), _inner=SimpleNamespace(heard_before=heard))


def recall(peer: Honest, heard: dict[PeerId, Heard]) -> None:
    marks = {who: one.cloned_epoch for who, one in heard.items() if one.cloned_epoch is not None}
    peer.knowledge.recall_clones(marks)


async def admit(peer: Honest, founded: Founded) -> None:
    await peer.records.accept([signed.raw for signed in founded.records])
    peer.knowledge.standings_changed()


async def test_a_clone_is_one_after_a_restart_until_it_begins_a_higher_epoch(tmp_path: Path) -> None:
    founded = Founded(2)
    me, ada = founded.keys
    store = Store.open(tmp_path)
    try:
        before, after = Honest(founded, me, store), Honest(founded, me, store)
        for peer in (before, after):
            await admit(peer, founded)
        take(before, beat(ada, 1, epoch=3))
        take(before, beat(ada, 1, epoch=3, name="eve"))
        assert before.knowledge.book.of(ada.peer_id).cloned

        save_heard(tmp_path, Daemon._all_heard(daemon(before, {})))
        recall(after, load_heard(tmp_path))
        take(after, beat(ada, 2, epoch=3))
        assert after.knowledge.book.of(ada.peer_id).cloned
        take(after, beat(ada, 3, epoch=4))
        assert not after.knowledge.book.of(ada.peer_id).cloned
        await trio.lowlevel.checkpoint()
    finally:
        store.close()


async def test_a_clone_whose_admission_comes_after_the_start_is_one(tmp_path: Path) -> None:
    """As where the records went with the catalogue: neither what is saved meanwhile nor the clone's next word forgets it."""
    founded = Founded(2)
    me, ada = founded.keys
    store = Store.open(tmp_path)
    try:
        peer = Honest(founded, me, store)
        peer.knowledge.membership = Membership(me.peer_id, trio.current_time(), heard={ada.peer_id: (1, 1)})
        heard = {ada.peer_id: Heard(1, 1, 7, cloned_epoch=3)}
        recall(peer, heard)
        take(peer, beat(ada, 2, epoch=3))
        save_heard(tmp_path, Daemon._all_heard(daemon(peer, heard)))
        assert load_heard(tmp_path) == heard

        await admit(peer, founded)
        take(peer, beat(ada, 3, epoch=3))
        assert peer.knowledge.book.of(ada.peer_id).cloned
        assert Daemon._all_heard(daemon(peer, heard))[ada.peer_id].cloned_epoch == 3
        take(peer, beat(ada, 4, epoch=4))
        assert not peer.knowledge.book.of(ada.peer_id).cloned
        assert Daemon._all_heard(daemon(peer, heard))[ada.peer_id].cloned_epoch is None
    finally:
        store.close()
