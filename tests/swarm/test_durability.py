"""A cancelled request leaves nothing half done, what the disk refused is vouched for nowhere, and every message fits."""

from pathlib import Path

import pytest
import trio

from node.replication.releasing import _that_fit
from node.swarm.replica_calls import MAX_REQUEST_BYTES as LEASE_REQUEST_BYTES
from protocol.lease_messages import LeaseAsk
from protocol.limits import LEASE_PINS
from protocol.messages import write_message
from store.errors import StoreFull
from tests.swarm.fellows import Founded, honest

ROOT = b"\x01\x70\x12\x20" + bytes(32)


async def test_records_whose_sender_goes_before_they_are_written_are_written(tmp_path: Path) -> None:
    founded = Founded(2)
    *first, admission = founded.records
    async with honest(founded, founded.keys[0], tmp_path, records=first) as peer:
        with trio.CancelScope() as gone:
            gone.cancel()
            await peer.records.accept([admission.raw])
        assert peer.records.counting.is_member(founded.keys[1].peer_id)
        assert admission.raw in {entry.raw for entry in peer.store.load_records()}
        assert await peer.records.are_durable()


async def test_what_the_disk_refused_counts_but_is_vouched_for_only_once_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    founded = Founded(2)
    *first, admission = founded.records

    def full(*_: object) -> None:
        raise StoreFull(1, 0)

    async with honest(founded, founded.keys[0], tmp_path, records=first) as peer:
        with monkeypatch.context() as patched:
            patched.setattr(peer.store, "append_records", full)
            await peer.records.accept([admission.raw])
            assert peer.records.counting.is_member(founded.keys[1].peer_id)
            assert not await peer.records.are_durable()
        await peer.records.due()
        assert await peer.records.are_durable()
        assert admission.raw in {entry.raw for entry in peer.store.load_records()}


@pytest.mark.parametrize("size_bytes", [300, 5_000, 21_000])
def test_the_pins_of_a_lease_fit(size_bytes: int) -> None:
    pins = _that_fit([bytes(size_bytes)] * 100)
    assert 0 < len(pins) <= LEASE_PINS
    ask = LeaseAsk(nonce=bytes(32), root=ROOT, kind="ipfs", to=Founded(1).keys[0].peer_id, max=3, pins=pins, until_ms=1)
    assert len(write_message(ask)) <= LEASE_REQUEST_BYTES
