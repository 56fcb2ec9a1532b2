"""An asker that was killed gives back what it was leased as soon as it is there again."""

from pathlib import Path

from node.replication.releasing import FACT, Releasing, _fact
from node.swarm.replica_calls import answer_replica_calls
from protocol.leases import Lease
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
