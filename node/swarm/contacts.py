"""Where members are reached: what they say in heartbeats, what worked, kept over restarts; and who is linked now."""

import logging
from pathlib import Path

import trio

from node.setup import CONTACTS_FACT
from node.swarm.addresses_kept import MEMBERS, keep, kept_members
from node.swarm.knowledge import Knowledge
from protocol.beat import SignedBeat
from protocol.net.host import Host
from protocol.net.redial import AddressBook, Redial
from store.store import Store

log = logging.getLogger("pinakothek.contacts")


class Contacts:
    """The members' addresses, and the redialling that keeps the mesh full."""

    def __init__(self, host: Host, store: Store, data_dir: Path, knowledge: Knowledge) -> None:
        self._host = host
        self._store = store
        self._data_dir = data_dir
        self._knowledge = knowledge
        self._saved: dict[str, list[str]] = {}
        self.book = AddressBook()
        self.redial = Redial(host, self.book, knowledge.records.counting.members)
        self._restore()

    def _restore(self) -> None:
        """Addresses of the last run, and those that the invite brought."""
        self.book.restore(kept_members(self._data_dir))
        for addr in (self._store.fact(CONTACTS_FACT) or b"").decode().split():
            peer_id = addr.rpartition("/p2p/")[2]
            if not self.book.get(peer_id):
                self.book.claim(peer_id, [addr])

    def linked(self) -> frozenset[str]:
        """Members that this peer is connected to."""
        is_member = self._knowledge.records.counting.is_member
        return frozenset(peer for peer in self._host.connected() if is_member(peer))

    def addrs_of(self, peer_id: str) -> tuple[str, ...]:
        """Where a member is reached, this peer included; without `/p2p/`."""
        addrs = self._host.addrs if peer_id == self._host.peer_id else self.book.get(peer_id)
        return tuple(addr.partition("/p2p/")[0] for addr in addrs)

    def heard(self, signed: SignedBeat) -> None:
        """A heartbeat says where its sender listens."""
        before = self.book.get(signed.sender)
        self.book.claim(signed.sender, signed.beat.addrs)
        if signed.sender not in self._host.connected() and self.book.get(signed.sender) != before:
            self.redial.hurry(signed.sender)

    async def save(self) -> None:
        """Keep the addresses for the next start. Raises: OSError."""
        snapshot = self.book.snapshot()
        if snapshot != self._saved:
            await trio.to_thread.run_sync(keep, self._data_dir, MEMBERS, snapshot)
            self._saved = snapshot
