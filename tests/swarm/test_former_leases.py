"""What is let go, and what is not: leases of an asker that was killed, and roots that a pin may want again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from node.events import wall_ms
from node.replication import releasing
from node.replication.planner import Release
from node.replication.releasing import FACT, Releasing, _fact
from node.swarm.replica_calls import answer_replica_calls
from protocol.author import Author
from protocol.lease_messages import LeaseAnswer, LeaseAsk
from protocol.leases import Lease
from protocol.pin import Pin
from store.cid import RAW, cid_of
from store.store import Owner
from tests.backends.images import image
from tests.net.hosts import connect_all
from tests.swarm.fellows import Founded, Honest, honest

ROOT = b"\x01\x70\x12\x20" + bytes(32)


def releasing_of(peer: Honest) -> Releasing:
    made = Releasing(
        peer.store, peer.rpc, peer.records, peer.key, max_of=lambda *_: 1, holds=lambda *_: True, blocked=lambda: "",
        on_release=lambda _: None,
    )  # fmt: skip
    answer_replica_calls(peer.rpc, made, None, None, on_doubt=lambda *_: None)  # type: ignore[arg-type]
    return made


async def test_leases_to_an_earlier_start_end_when_the_asker_is_back(tmp_path: Path) -> None:
    founded = Founded(3)
    async with (
        honest(founded, founded.keys[0], tmp_path / "owner") as owner,
        honest(founded, founded.keys[1], tmp_path / "asker") as asker,
    ):
        me, back, other = (key.peer_id for key in founded.keys)
        leases = [
            Lease(root=ROOT, kind="ipfs", owner=me, to=to, nonce=bytes(32), max=1, until_ms=1 << 45)
            for to in (back, other)
        ]
        owner.store.set_facts({_fact(lease): lease.to_bytes() for lease in leases})
        lender, borrower = releasing_of(owner), releasing_of(asker)
        assert lender.bound(ROOT, "ipfs")
        await connect_all([owner.host, asker.host])
        await borrower.tell_of_start([me])
        assert list(owner.store.facts(FACT)) == [_fact(leases[1])], "the other's stays"
        assert lender.bound(ROOT, "ipfs")


async def test_what_nobody_wanted_stays_where_a_pin_wants_it_on_another_kind_by_now(tmp_path: Path) -> None:
    """The plan was made before: no copy is on that kind yet, and this one may be the last."""
    founded = Founded(1)
    async with honest(founded, founded.keys[0], tmp_path / "peer") as peer:
        wanted, unwanted = (cid_of(RAW, block) for block in (b"a picture", b"another"))
        for root, block in ((wanted, b"a picture"), (unwanted, b"another")):
            peer.store.put([(root, block)], owner=Owner("fetch", root))
            peer.store.hold(root, kind="ipfs", blocks=[root], size_bytes=9, frm=Owner("fetch", root))
        made = Releasing(
            peer.store, peer.rpc, peer.records, peer.key, max_of=lambda *_: 0, holds=lambda *_: True,
            blocked=lambda: "", on_release=lambda _: None,
        )  # fmt: skip
        await peer.records.write(Pin(id=bytes(16), flow="f", root=wanted, content="dag", backend="s3"))
        said = [
            await made.release(Release(root=root, kind="ipfs", ask=(), max=0, reason="", kept_on="ipfs"))
            for root in (wanted, unwanted)
        ]
        assert said == ["a pin wants it again, on another kind", None]
        assert [held.root for held in peer.store.holdings()] == [wanted]


async def test_what_nobody_wants_stays_while_it_waits_for_a_slow_disk_to_be_put_aside(tmp_path: Path) -> None:
    """In memory its pin counts no more from the moment that another came; the disk may have the turn of others for long."""
    founded, block = Founded(2), b"a picture"
    root, author, now_ms = cid_of(RAW, block), Author(founded.keys[1]), wall_ms()
    pin = Pin(id=bytes(16), flow="f", root=root)
    first, cut = author.write(pin, now_ms), author.write(replace(pin, root=ROOT), now_ms)
    async with honest(founded, founded.keys[0], tmp_path / "peer") as peer:
        peer.store.put([(root, block)], owner=Owner("fetch", root))
        peer.store.hold(root, kind="ipfs", blocks=[root], size_bytes=9, frm=Owner("fetch", root))
        made = Releasing(
            peer.store, peer.rpc, peer.records, peer.key, max_of=lambda *_: 0, holds=lambda *_: True,
            blocked=lambda: "", on_release=lambda _: None,
        )  # fmt: skip
        release = Release(root=root, kind="ipfs", ask=(), max=0, reason="", kept_on="ipfs")
        await peer.records.accept([first.raw])
        async with trio.open_nursery() as nursery, peer.records._disk:
            nursery.start_soon(peer.records.accept, [cut.raw])
            with trio.fail_after(30):
                while peer.records.counting.wanted(root) is not None:
                    await trio.lowlevel.checkpoint()
            assert await made.release(release) == "pins that were cut short are being put aside"
        assert await made.release(release) is None


async def test_a_copy_that_takes_long_to_read_is_not_read_anew_each_time_that_its_asker_has_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a root of many gigabytes is read over and over, and never let go."""
    founded, one = Founded(2), image("one", size_bytes=3000)
    async with honest(founded, founded.keys[0], tmp_path / "peer") as peer:
        peer.store.put(one.blocks.items(), owner=Owner("fetch", one.root))
        peer.store.hold(one.root, kind="ipfs", blocks=list(one.blocks), size_bytes=1, frm=Owner("fetch", one.root))
        made, asker, reads, now_s, took_s = releasing_of(peer), founded.keys[1].peer_id, 0, 0.0, 1.0

        def walked(root: bytes, get: object) -> Iterator[bytes]:
            nonlocal reads, now_s
            reads, now_s = reads + 1, now_s + took_s
            return iter(())

        async def asked(nonce: int) -> LeaseAnswer:
            ask = LeaseAsk(nonce=bytes([nonce]) * 32, root=one.root, kind="ipfs", to=asker, max=1, pins=(), until_ms=1)
            return await made.answer(asker, ask)

        monkeypatch.setattr(releasing, "walk", walked)
        monkeypatch.setattr(releasing, "steady_s", lambda: now_s)
        for nonce, (read_s, in_all) in enumerate([(1.0, 1), (1.0, 2), (60.0, 3), (60.0, 3), (60.0, 3)]):
            took_s = read_s
            answer = await asked(nonce)
            assert (answer.granted, answer.proof is not None, reads) == (True, True, in_all)
        now_s += releasing.READ_HOLDS_S
        await asked(9)
        assert reads == 4
