"""A curator who lies, or whose clock is wrong, cannot have everybody let images go past the trash."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import pytest

from node.events import wall_ms
from protocol.admission import Expulsion
from protocol.limits import MS_PER_DAY
from protocol.pin import Pin
from tests.sim.peer import SimPeer
from tests.sim.swarm import Setting, Swarm, simulate


async def written_anew(peer: SimPeer, **changes: object) -> None:
    """Each pin there is, with these fields, under the peer's own key."""
    records = peer.daemon.parts.records
    pins = [signed.record for root in records.counting.roots() for signed in records.counting.live_pins(root)]
    await records.write(*(replace(pin, **changes) for pin in pins))  # type: ignore[arg-type]


async def dates_back(swarm: Swarm) -> None:
    await written_anew(swarm.peers[1], trashed_ms=wall_ms() - 40 * MS_PER_DAY)


async def ends_soon(swarm: Swarm) -> None:
    await written_anew(swarm.peers[1], expires_ms=wall_ms() + 10_000)


async def names_another_root(swarm: Swarm) -> None:
    await written_anew(swarm.peers[1], root=b"\x01\x55\x12\x20" + bytes(32))


async def expelled_and_not_signed_anew(swarm: Swarm) -> None:
    """As where the expulsion came and its pins, signed anew, are beyond a split."""
    expulsion = Expulsion(peer=swarm.peers[1].key.peer_id)
    await swarm.peers[0].daemon.parts.records.write(expulsion, as_steward=True)


@pytest.mark.parametrize("deed", [dates_back, ends_soon, names_another_root, expelled_and_not_signed_anew])
def test_nothing_is_let_go_for_a_pin_that_was_cut_short(deed: Callable[[Swarm], Awaitable[None]]) -> None:
    async def story(swarm: Swarm) -> None:
        roots = swarm.add(10, at=[swarm.peers[1]])
        await swarm.settle(3, 180)
        before = swarm.truth.released
        doer = swarm.peers[0] if deed is expelled_and_not_signed_anew else swarm.peers[1]
        await doer.ask(lambda: deed(swarm))
        await swarm.run(60)
        assert swarm.truth.released == before
        others = [peer for peer in swarm.peers if peer is not swarm.peers[1]]
        assert all(peer.daemon.parts.records.counting.wanted(root) is None for peer in others for root in roots)
        for peer in others:
            await peer.stop()
            await peer.start()
        await swarm.run(60)
        assert swarm.truth.released == before

    simulate(Setting(seed=41, peers=4), story)


def test_what_is_left_of_images_that_are_kept_stays_although_nobody_fetches_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a block goes bad the rest belongs to a fetch, and one that nobody goes on with is given up after a day."""
    monkeypatch.setattr("tests.sim.disk.FETCH_EXPIRES_MS", 60_000)
    monkeypatch.setattr("tests.sim.disk.UNOWNED_MS", 60_000)

    async def story(swarm: Swarm) -> None:
        roots = swarm.add(3, at=[swarm.peers[1]])
        await swarm.settle(3, 180)
        records = swarm.peers[0].daemon.parts.records
        pins = [signed.record for root in roots for signed in records.counting.live_pins(root)]
        await swarm.peers[1].ask(lambda: ends_soon(swarm))
        await swarm.run(30)

        async def damage(peer: SimPeer) -> None:
            await peer.daemon.parts.retracting.retract(roots, "a block of it cannot be read")

        for peer in swarm.peers:
            await peer.ask(partial(damage, peer))
        await swarm.run(400)
        assert swarm.copies() == [0] * len(roots)
        await swarm.peers[0].ask(lambda: records.write(*pins))
        await swarm.settle(3, 180)

    simulate(Setting(seed=43, peers=4), story)


def test_what_a_steward_purges_goes_at_once() -> None:
    async def story(swarm: Swarm) -> None:
        swarm.add(5, at=[swarm.peers[1]])
        await swarm.settle(3, 180)
        records = swarm.peers[0].daemon.parts.records
        pins = [signed.record for root in records.counting.roots() for signed in records.counting.live_pins(root)]
        purged: list[Pin] = [replace(pin, deleted=True) for pin in pins]
        await swarm.peers[0].ask(lambda: records.write(*purged, as_steward=True))
        await swarm.until(lambda: set(swarm.copies()) == {0}, 60)

    simulate(Setting(seed=42, peers=4), story)
