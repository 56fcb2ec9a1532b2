"""A cancelled request leaves nothing half done, what the disk refused is vouched for nowhere, and every message fits."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from node.events import wall_ms
from node.replication.releasing import _that_fit
from node.swarm.replica_calls import MAX_REQUEST_BYTES as LEASE_REQUEST_BYTES
from node.swarm.set_aside import SetAside
from node.swarm.sparing import Sparing
from protocol.admission import KEEPER, Admission
from protocol.author import Author
from protocol.identity import KeyPair
from protocol.lease_messages import LeaseAsk
from protocol.limits import LEASE_PINS
from protocol.messages import write_message
from protocol.pin import Pin
from protocol.records import Record, Signed
from store.cid import RAW, cid_of
from store.errors import StoreFull
from store.record_lines import ASIDE
from store.store import Owner, RecordEntry
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


async def test_of_own_words_about_one_thing_the_disk_has_the_last(tmp_path: Path) -> None:
    founded = Founded(1)
    async with honest(founded, founded.keys[0], tmp_path, records=founded.records) as peer:
        for number in range(20):
            pin = Pin(id=bytes([number]) * 16, flow="f", root=ROOT)
            async with trio.open_nursery() as nursery:
                for name in ("a", "b", "c", "d"):
                    nursery.start_soon(peer.records.write, replace(pin, name=name))
        assert {entry.raw for entry in peer.store.load_records()} == {kept.raw for kept in peer.records.counting}


async def test_what_is_written_anew_is_not_forgotten_with_what_was_there_before(tmp_path: Path) -> None:
    """To the trash, back and there again: the disk is to forget the first of them, under whose name the last lies."""
    founded, now_ms = Founded(1), wall_ms()
    pin = Pin(id=bytes(16), flow="f", root=ROOT)
    async with honest(founded, founded.keys[0], tmp_path, records=founded.records) as peer:
        begun, may_end = trio.Event(), trio.Event()

        async def waits(replaced: Sequence[Signed[Record]]) -> None:
            begun.set()
            await may_end.wait()

        await peer.records.write(replace(pin, trashed_ms=now_ms))
        peer.records.on_replaced = waits
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.records.write, pin)
            await begun.wait()
            nursery.start_soon(peer.records.write, replace(pin, trashed_ms=now_ms))
            await trio.testing.wait_all_tasks_blocked()
            may_end.set()
        kept = {entry.raw for entry in peer.store.load_records()}
        assert kept == {each.raw for each in peer.records.counting}


async def test_what_is_written_while_the_disk_is_made_up_to_is_not_forgotten_with_what_is_owed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    founded, now_ms = Founded(1), wall_ms()
    pin = Pin(id=bytes(16), flow="f", root=ROOT)

    def full(*_: object) -> None:
        raise StoreFull(1, 0)

    async with honest(founded, founded.keys[0], tmp_path, records=founded.records) as peer:
        await peer.records.write(replace(pin, trashed_ms=now_ms))
        with monkeypatch.context() as patched:
            patched.setattr(peer.store, "forget_records", full)
            await peer.records.write(pin)
        begun, may_end = trio.Event(), trio.Event()

        async def waits(replaced: Sequence[Signed[Record]]) -> None:
            begun.set()
            await may_end.wait()

        peer.records.on_replaced = waits
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.records.make_up)
            await begun.wait()
            nursery.start_soon(peer.records.write, replace(pin, trashed_ms=now_ms))
            await trio.testing.wait_all_tasks_blocked()
            may_end.set()
        kept = {entry.raw for entry in peer.store.load_records()}
        assert kept == {each.raw for each in peer.records.counting}


async def test_what_a_bug_has_kept_from_the_disk_is_not_vouched_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    founded = Founded(2)
    *first, admission = founded.records

    def wrong(*_: object) -> None:
        raise RuntimeError("a bug")

    async with honest(founded, founded.keys[0], tmp_path, records=first) as peer:
        with monkeypatch.context() as patched, pytest.raises(RuntimeError):
            patched.setattr(peer.store, "append_records", wrong)
            await peer.records.accept([admission.raw])
        assert not await peer.records.are_durable()
        await peer.records.make_up()
        assert await peer.records.are_durable()
        assert admission.raw in {entry.raw for entry in peer.store.load_records()}


async def test_what_waits_to_be_put_aside_is_written_in_its_turn_and_not_vouched_for_before(tmp_path: Path) -> None:
    founded = Founded(2)
    author, now_ms = Author(founded.keys[1]), wall_ms()
    first = Pin(id=bytes(16), flow="f", root=ROOT)
    versions = [author.write(replace(first, name=name), now_ms) for name in ("a", "b", "c")]
    async with honest(founded, founded.keys[0], tmp_path, records=founded.records) as peer:
        await peer.records.accept([versions[0].raw])
        begun, merged, may_end = trio.Event(), trio.Event(), trio.Event()
        durable: list[bool] = []

        async def put_aside(replaced: Sequence[Signed[Record]]) -> None:
            begun.set()
            await may_end.wait()

        async def asked() -> None:
            durable.append(await peer.records.are_durable())

        peer.records.on_replaced = put_aside
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.records.accept, [versions[1].raw])
            await begun.wait()
            peer.records.on_learned = lambda oldest: merged.set()
            nursery.start_soon(asked)
            nursery.start_soon(peer.records.accept, [versions[2].raw])
            await merged.wait()
            too_early = list(durable)
            may_end.set()
        assert (too_early, durable) == ([], [True]), "it is not on disk before it is put aside"
        kept = {entry.raw for entry in peer.store.load_records()}
        assert kept & {version.raw for version in versions} == {versions[2].raw}


async def test_what_cuts_a_pin_short_is_not_written_before_the_pin_is_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a restart finds an image that nothing wants, and nobody knows that it was to stay."""
    founded = Founded(2)
    author, now_ms, block = Author(founded.keys[1]), wall_ms(), b"picture"
    root, job = cid_of(RAW, block), Owner("job", b"j")
    pin = Pin(id=bytes(16), flow="f", root=root)
    before, after = (author.write(each, now_ms) for each in (pin, replace(pin, expires_ms=now_ms + 10_000)))
    async with honest(founded, founded.keys[0], tmp_path, records=founded.records) as peer:
        Sparing(peer.knowledge, SetAside(peer.store))
        peer.store.put([(root, block)], owner=job)
        peer.knowledge.holding_changed(
            peer.store.hold(root, kind="ipfs", blocks=[root], size_bytes=len(block), frm=job), True
        )
        await peer.records.accept([before.raw])
        append = peer.store.append_records

        def full_for_asides(entries: Sequence[RecordEntry]) -> None:
            if any(entry.kind == ASIDE for entry in entries):
                raise StoreFull(1, 0)
            append(entries)

        def on_disk() -> tuple[set[bytes], bool]:
            aside = SetAside(peer.store)
            aside.load()
            return {entry.raw for entry in peer.store.load_records()} & {before.raw, after.raw}, root in aside

        with monkeypatch.context() as patched:
            patched.setattr(peer.store, "append_records", full_for_asides)
            await peer.records.accept([after.raw])
            assert peer.records.counting.get(before.key) == after
            assert on_disk() == ({before.raw}, False)
            with pytest.raises(StoreFull):
                await peer.records.due()
            assert on_disk() == ({before.raw}, False)
        await peer.records.due()
        assert on_disk() == ({after.raw}, True)
        assert await peer.records.are_durable()


async def test_what_the_disk_takes_at_last_is_not_written_before_what_it_cuts_short_is_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refused a version, and takes it again; a later one, come meanwhile, is what there is to be written by then."""
    founded = Founded(2)
    author, now_ms, block = Author(founded.keys[1]), wall_ms(), b"picture"
    root, job = cid_of(RAW, block), Owner("job", b"j")
    pin, another = Pin(id=bytes(16), flow="f", root=root), Pin(id=b"2" * 16, flow="f", root=ROOT)
    versions = [pin, replace(pin, name="a"), replace(pin, expires_ms=now_ms + 60_000)]
    before, refused, short = (author.write(each, now_ms) for each in versions)
    others = [author.write(replace(another, name=name), now_ms) for name in ("a", "b")]
    written: list[bytes | str] = []

    def full(*_: object) -> None:
        raise StoreFull(1, 0)

    async with honest(founded, founded.keys[0], tmp_path, records=founded.records) as peer:
        Sparing(peer.knowledge, SetAside(peer.store))
        peer.store.put([(root, block)], owner=job)
        peer.knowledge.holding_changed(
            peer.store.hold(root, kind="ipfs", blocks=[root], size_bytes=len(block), frm=job), True
        )
        await peer.records.accept([before.raw, others[0].raw])
        with monkeypatch.context() as patched:
            patched.setattr(peer.store, "append_records", full)
            await peer.records.accept([refused.raw])
        append, spare = peer.store.append_records, peer.records.on_replaced
        begun, may_end, came = trio.Event(), trio.Event(), trio.Event()

        def note(entries: Sequence[RecordEntry]) -> None:
            written.extend(entry.kind if entry.kind == ASIDE else entry.raw for entry in entries)
            append(entries)

        async def slow(replaced: Sequence[Signed[Record]]) -> None:
            if others[0] in replaced:
                begun.set()
                await may_end.wait()
            await spare(replaced)

        monkeypatch.setattr(peer.store, "append_records", note)
        peer.records.on_replaced = slow
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.records.accept, [others[1].raw])
            await begun.wait()
            nursery.start_soon(peer.records.due)
            await trio.testing.wait_all_tasks_blocked()  # it waits for the disk
            peer.records.on_learned = lambda oldest: came.set()
            nursery.start_soon(peer.records.accept, [short.raw])
            await came.wait()
            may_end.set()
        assert peer.records.counting.get(before.key) == short
        assert await peer.records.are_durable()
    assert written.index(ASIDE) < written.index(short.raw)


async def test_nothing_is_written_before_what_the_disk_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a role was refused, and what its peer wrote after that would count after a crash."""
    founded = Founded(2)
    steward, author, now_ms = Author(KeyPair(b"s" * 32)), Author(founded.keys[1]), wall_ms()
    pin = Pin(id=bytes(16), flow="f", root=ROOT)
    before, after = (author.write(each, now_ms) for each in (pin, replace(pin, expires_ms=now_ms + 60_000)))
    demoted = steward.write(Admission(peer=founded.keys[1].peer_id, roles=(KEEPER,)), now_ms + 1000)  # after the first

    def full(*_: object) -> None:
        raise StoreFull(1, 0)

    async with honest(founded, founded.keys[0], tmp_path, records=[*founded.records, before]) as peer:

        def on_disk() -> set[bytes]:
            return {entry.raw for entry in peer.store.load_records()} & {before.raw, after.raw, demoted.raw}

        with monkeypatch.context() as patched:
            patched.setattr(peer.store, "append_records", full)
            await peer.records.accept([demoted.raw])
        await peer.records.accept([after.raw])
        assert on_disk() == {before.raw}
        assert not await peer.records.are_durable()
        await peer.records.ripen()  # whatever time it is
        assert on_disk() == {after.raw, demoted.raw}
        assert await peer.records.are_durable()


@pytest.mark.parametrize("size_bytes", [300, 5_000, 21_000])
def test_the_pins_of_a_lease_fit(size_bytes: int) -> None:
    pins = _that_fit([bytes(size_bytes)] * 100)
    assert 0 < len(pins) <= LEASE_PINS
    ask = LeaseAsk(nonce=bytes(32), root=ROOT, kind="ipfs", to=Founded(1).keys[0].peer_id, max=3, pins=pins, until_ms=1)
    assert len(write_message(ask)) <= LEASE_REQUEST_BYTES
