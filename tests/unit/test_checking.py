"""Records are read whole pages at a time, and their signatures checked wherever there is room for it."""

import errno
import os
import signal
from collections.abc import Sequence
from multiprocessing.context import SpawnProcess

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.swarm.checking import Found, in_order, nowhere_else, parse_all, parse_kept
from node.swarm.seals import Seals
from node.swarm.verifiers import LEAST_RECORDS, Verifiers
from protocol.codec import encode_value
from protocol.errors import Reason
from protocol.flow import Flow
from protocol.identity import KeyPair
from protocol.pin import Pin
from protocol.records import Record, Signed, read_record, sign_record
from protocol.stamp import Stamp

KEY = KeyPair(b"a" * 32)
MANY = LEAST_RECORDS + 20


def pins(count: int) -> list[Signed[Record]]:
    return [sign_record(Pin(id=bytes(16), flow="f", root=b"root", stamp=Stamp(n + 1, 0)), KEY) for n in range(count)]


def forged(signed: Signed[Record]) -> bytes:
    """The same record with a signature that is another's."""
    read = read_record(signed.raw)
    assert read is not None
    _, (_, message, _) = read
    return encode_value({"p": message.removeprefix(b"pinakothek-signed:"), "s": KeyPair(b"b" * 32).sign(message)})


def pages(count: int) -> list[bytes]:
    return [signed.raw for signed in pins(count)]


async def test_what_its_author_did_not_sign_is_left_out_and_the_rest_taken() -> None:
    async with Verifiers(workers=1) as verifiers:
        for count, elsewhere in ((3, nowhere_else), (MANY, nowhere_else), (MANY, verifiers.check)):
            signed = pins(count)
            raws = [one.raw for one in signed]
            raws[1] = forged(signed[1])
            raws.append(b"no record")
            found, bad = await parse_all(raws, elsewhere)
            assert found == [signed[0], *signed[2:]]
            assert sorted(bad) == [Reason.BAD_SIGNATURE, Reason.MALFORMED]


async def test_pages_are_handed_on_in_order_whichever_is_checked_first() -> None:
    signed = pins(40)
    four = [[one.raw for one in signed[at : at + 10]] for at in range(0, 40, 10)]
    four[2][5] = forged(signed[25])
    assert await in_order(iter(four), parse_all) == (signed[:25] + signed[26:], [Reason.BAD_SIGNATURE])


async def test_what_was_checked_before_is_not_checked_again_and_everything_else_is() -> None:
    signed = pins(6)
    raws = [one.raw for one in signed]
    raws[1], raws[4] = forged(signed[1]), forged(signed[4])
    asked: list[bytes] = []

    async def some(news: Sequence[bytes]) -> Found:
        asked.extend(news)
        return [signed[5] if raw == raws[5] else None for raw in news]

    found, bad = await parse_kept(raws, {raws[0], raws[4]}, some)
    assert [one.raw for one in found] == [raw for raw in raws if raw != raws[1]]
    assert (asked, bad) == ([*raws[1:4], raws[5]], [Reason.BAD_SIGNATURE])


@given(st.binary(min_size=1, max_size=600), st.data())
def test_a_seal_holds_for_these_bytes_and_this_peer_alone(raw: bytes, data: st.DataObject) -> None:
    seals = Seals(KEY)
    seal = seals.seal(raw)
    assert seals.holds(raw, seal)
    assert Seals(KeyPair(KEY.seed)).holds(raw, seal)
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    other = bytes(byte ^ (1 << bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(raw))
    assert not seals.holds(other, seal)
    assert not seals.holds(raw, None)
    assert not Seals(KeyPair(b"c" * 32)).holds(raw, seal)


async def test_another_process_finds_the_pins_and_leaves_the_rest() -> None:
    signed = pins(MANY)
    flow = sign_record(Flow(name="f", stamp=Stamp(1, 0)), KEY)
    raws = [forged(signed[0]), flow.raw, b"no record", *(one.raw for one in signed[3:])]
    async with Verifiers(workers=1) as verifiers:
        assert await verifiers.check(raws) == [None, None, None, *signed[3:]]


def worker() -> psutil.Process:
    [found] = [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]
    return found


async def test_a_process_that_was_started_before_there_was_work_does_the_first_of_it() -> None:
    async with Verifiers(workers=1) as verifiers:
        await verifiers.warm_up()
        before = worker().pid
        assert all(await verifiers.check(pages(MANY)))
        assert worker().pid == before


async def test_a_process_that_was_killed_takes_no_record_with_it() -> None:
    signed = pins(MANY)
    raws = [one.raw for one in signed]
    async with Verifiers(workers=1) as verifiers:
        assert await verifiers.check(raws) == signed
        os.kill(worker().pid, signal.SIGKILL)
        assert await parse_all(raws, verifiers.check) == (signed, [])


async def test_a_process_that_hangs_is_killed_and_keeps_nobody_waiting() -> None:
    raws = pages(MANY)
    async with Verifiers(workers=1) as verifiers:
        assert all(await verifiers.check(raws))
        hanging = worker()
        os.kill(hanging.pid, signal.SIGSTOP)
        verifiers.limit_s = 0.2
        found, bad = await parse_all(raws, verifiers.check)
        assert (len(found), bad) == (MANY, [])
        assert not hanging.is_running()
        verifiers.limit_s = 60.0
        assert not any(await verifiers.check(raws))  # nor does the next page wait for another that may hang as well


async def test_where_no_process_can_be_started_a_thread_does_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(SpawnProcess, "_Popen", staticmethod(refused))
    async with Verifiers(workers=1) as verifiers:
        found, bad = await parse_all(pages(MANY), verifiers.check)
        assert (len(found), bad) == (MANY, [])
