"""Dial a peer at all its addresses, each with its own time limit, staggered; the first that proves to be the peer wins.

libp2p's own `connect` tries one address per transport, has no handshake time-out, retries by itself, and then refuses
the peer for a minute.
"""

import logging
from collections.abc import Sequence
from typing import Any

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from protocol.net.errors import Unreachable
from protocol.net.limits import DIAL_S, DIAL_STAGGER_S

log = logging.getLogger("pinakothek.net.dial")


async def dial_first(network: Any, peer_id: str, addresses: Sequence[str]) -> str:
    """Connect to `peer_id` and return the address that worked.

    Raises:
        Unreachable: none of them answered as that peer; the text names each and why.
    """
    if not addresses:
        raise Unreachable(f"no address of {peer_id} is known")
    failures: dict[str, str] = {}
    won: list[str] = []
    async with trio.open_nursery() as nursery:
        for address in addresses:
            ended = trio.Event()
            nursery.start_soon(_dial, network, peer_id, address, won, failures, ended, nursery.cancel_scope)
            with trio.move_on_after(DIAL_STAGGER_S):
                await ended.wait()
            if won:
                break
    if not won:
        raise Unreachable(f"{peer_id}: " + "; ".join(f"{a}: {why}" for a, why in failures.items()))
    return won[0]


async def _dial(
    network: Any,
    peer_id: str,
    address: str,
    won: list[str],
    failures: dict[str, str],
    ended: trio.Event,
    race: trio.CancelScope,
) -> None:
    try:
        with trio.fail_after(DIAL_S):
            await network.dial_addr(Multiaddr(address), ID.from_base58(peer_id))
        won.append(address)
        race.cancel()
    except trio.TooSlowError:
        failures[address] = f"no handshake within {DIAL_S:.0f} s"
    except Exception as error:  # noqa: BLE001 - whatever a stranger's handshake can provoke
        failures[address] = _reason(error)
        log.debug("dialling %s at %s failed: %r", peer_id, address, error)
    finally:
        ended.set()


def _reason(error: BaseException) -> str:
    """The innermost cause: the system's own word, where it is the system that refused."""
    while (inner := _inside(error)) is not None:
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _inside(error: BaseException) -> BaseException | None:
    return error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__
