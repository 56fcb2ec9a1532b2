"""The last heartbeat heard of each peer, kept over a restart so that none is replayed to a peer that has just begun."""

import json
from collections.abc import Mapping

from protocol.identity import PeerId
from store.store import Store

FACT = "heard"

Orders = Mapping[PeerId, tuple[int, int]]


def load_heard(store: Store) -> dict[PeerId, tuple[int, int]]:
    """The (incarnation, seq) of each peer as last saved."""
    saved = store.fact(FACT)
    return {PeerId(peer): (order[0], order[1]) for peer, order in json.loads(saved).items()} if saved else {}


def save_heard(store: Store, orders: Orders) -> None:
    """Keep them. Raises: StoreError."""
    store.set_fact(FACT, json.dumps(orders, sort_keys=True).encode())
