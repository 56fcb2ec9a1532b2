"""libp2p, given what it may serve and to whom."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

import trio

from node.config import Config
from node.kinds import EMBEDDED
from node.swarm.gatekeeping import Gatekeeping
from protocol.identity import KeyPair
from protocol.net.bitswap import Bitswap
from protocol.net.gossip import Gossip
from protocol.net.host import Host
from protocol.net.rpc import Rpc
from protocol.recordset import RecordSet
from store.errors import BlockNotFound, StoreError
from store.store import Store

log = logging.getLogger("pinakothek.daemon")

INLINE_READ_BYTES = 64 * 1024
"""Smaller blocks are read on the event loop: 0.1 ms from the page cache, where a thread costs as much by itself."""
FAR_AT_ONCE = 16
"""Blocks read from other backends at a time: one that is slow must not keep every thread from its work. As many calls as
a backend is given at once."""


class Network(NamedTuple):
    """What carries messages and blocks."""

    host: Host
    gossip: Gossip
    rpc: Rpc
    bitswap: Bitswap


def block_getter(store: Store) -> Callable[[bytes], Awaitable[bytes | None]]:
    """What reads blocks for others: None where one is not here, or cannot be read."""
    near = store.reader(EMBEDDED)
    far = trio.CapacityLimiter(FAR_AT_ONCE)

    async def get_block(cid: bytes) -> bytes | None:
        try:
            if not store.is_near(cid):
                return await trio.to_thread.run_sync(store.get, cid, limiter=far)
            if (store.size(cid) or 0) <= INLINE_READ_BYTES:
                with suppress(StoreError):  # it may lie on a backend as well, which is not to be asked from here
                    return near(cid)
            return await trio.to_thread.run_sync(store.get, cid)
        except BlockNotFound:
            return None
        except StoreError as error:
            log.warning("not served: %s", error)
            return None

    return get_block


def make_network(config: Config, key: KeyPair, store: Store, counting: RecordSet, gatekeeping: Gatekeeping) -> Network:
    """Make it; nothing listens yet."""

    get_block = block_getter(store)

    def block_size(cid: bytes) -> int | None:
        try:
            return store.size(cid)
        except StoreError:  # a CID of a kind that we do not keep, or a disk that refuses
            return None

    host = Host(
        key.seed, is_member=counting.is_member, strangers_may=gatekeeping.strangers_may, also_may=gatekeeping.also_may
    )
    bitswap = Bitswap(
        host, get_block=get_block, block_size=block_size, may_serve=gatekeeping.may_serve, is_member=counting.is_member,
        strangers_bytes_per_s=config.strangers_bytes_per_s,
    )  # fmt: skip
    return Network(host, Gossip(host), Rpc(host), bitswap)
