"""Keep members connected: remember where each was reached, and dial those that are not, ever less often.

The book is this process's; the node saves its `snapshot()` and hands it back with `restore()`. Who is a member, and what
addresses members claim, the node knows.
"""

import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import trio

from protocol.net.addresses import MAX_ADDRESSES, dialable_all
from protocol.net.errors import NetError
from protocol.net.host import Host

log = logging.getLogger("pinakothek.net.redial")

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
"""A peer back after hours is found within a minute; 150 dead peers cost 2.5 dials a second at most."""

DIAL_LIMIT_S = 15.0
"""For all addresses of one peer together."""

DIALS_AT_ONCE = 8

LOOK_S = 0.5
"""How often the members are compared with the connections."""


class AddressBook:
    """Addresses by peer, those that worked last first."""

    def __init__(self) -> None:
        self._addresses: dict[str, list[str]] = {}
        self._claims: dict[str, tuple[str, ...]] = {}

    def get(self, peer_id: str) -> list[str]:
        """At most `MAX_ADDRESSES` addresses, in the order to try them."""
        return list(self._addresses.get(peer_id, ()))

    def claim(self, peer_id: str, addresses: Sequence[str]) -> None:
        """The peer says that it listens there: what worked before stays ahead, older claims fall behind."""
        if self._claims.get(peer_id) == (claim := tuple(addresses)):
            return  # every heartbeat says it again
        self._claims[peer_id] = claim
        known = self._addresses.get(peer_id, [])
        claimed = dialable_all(addresses, peer_id)
        still = [address for address in known if address in claimed]
        rest = [address for address in known if address not in claimed]
        self._addresses[peer_id] = list(dict.fromkeys([*known[:1], *still, *claimed, *rest]))[:MAX_ADDRESSES]

    def worked(self, peer_id: str, address: str) -> None:
        """The peer was reached there."""
        known = self._addresses.get(peer_id, [])
        self._addresses[peer_id] = list(dict.fromkeys([address, *known]))[:MAX_ADDRESSES]

    def forget(self, peer_id: str) -> None:
        """The peer is of no interest any more."""
        self._addresses.pop(peer_id, None)
        self._claims.pop(peer_id, None)

    def snapshot(self) -> dict[str, list[str]]:
        """Everything, as plain values to be stored."""
        return {peer: list(addresses) for peer, addresses in self._addresses.items() if addresses}

    def restore(self, snapshot: Mapping[str, Sequence[str]]) -> None:
        """Take a snapshot back; what is malformed in it is left out."""
        for peer_id, addresses in snapshot.items():
            if usable := dialable_all(addresses, peer_id):
                self._addresses[peer_id] = usable


class Backoff:
    """When to try each peer again. Pure: time and chance are given."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._due_s: dict[str, float] = {}

    def due(self, peer_id: str, now_s: float) -> bool:
        """Whether the peer may be tried now."""
        return self._due_s.get(peer_id, now_s) <= now_s

    def failed(self, peer_id: str, now_s: float, chance: float) -> float:
        """Note a failure; returns the seconds to wait: doubling, spread by `chance` (0..1) over half to all of it."""
        failures = self._failures[peer_id] = self._failures.get(peer_id, 0) + 1
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 10)) * (0.5 + chance / 2)
        self._due_s[peer_id] = now_s + wait_s
        return wait_s

    def reset(self, peer_id: str) -> None:
        """The peer was reached, or there is reason to try it at once."""
        self._failures.pop(peer_id, None)
        self._due_s.pop(peer_id, None)


class Redial:
    """Dials the members that are not connected, for as long as it runs."""

    def __init__(self, host: Host, book: AddressBook, members: Callable[[], Collection[str]]) -> None:
        """
        Args:
            members: peer ids to keep connected; our own among them does no harm.
        """
        self.book = book
        self._host = host
        self._members = members
        self._backoff = Backoff()
        self._dialling: set[str] = set()
        self._look = trio.Event()
        host.on_disconnected.append(self.hurry)

    def hurry(self, peer_id: str) -> None:
        """There is reason to dial the peer now: it was just lost, or its address has just been learnt."""
        self._backoff.reset(peer_id)
        self._look.set()

    async def run(self) -> None:
        """Until cancelled."""
        slots = trio.CapacityLimiter(DIALS_AT_ONCE)
        async with trio.open_nursery() as nursery:
            while True:
                for peer_id in self._wanted():
                    self._dialling.add(peer_id)
                    nursery.start_soon(self._dial, peer_id, slots)
                with trio.move_on_after(LOOK_S):
                    await self._look.wait()
                self._look = trio.Event()

    def _wanted(self) -> list[str]:
        now_s = trio.current_time()
        missing = set(self._members()) - self._host.connected() - self._dialling - {self._host.peer_id}
        return [peer for peer in missing if self.book.get(peer) and self._backoff.due(peer, now_s)]

    async def _dial(self, peer_id: str, slots: Any) -> None:
        try:
            async with slots:
                address = await self._host.connect(peer_id, self.book.get(peer_id), DIAL_LIMIT_S)
            self._backoff.reset(peer_id)
            if address is not None:
                self.book.worked(peer_id, address)
        except NetError as error:
            wait_s = self._backoff.failed(peer_id, trio.current_time(), random.random())
            log.debug("%s; next try in %.1f s", error, wait_s)
        finally:
            self._dialling.discard(peer_id)
