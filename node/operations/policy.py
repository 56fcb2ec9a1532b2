"""What a request may not do: roles, the charter's bounds, backends, names, a wrong clock. Asked before anything is stored."""

from collections.abc import Sequence

import trio

from node.errors import RefusedByPolicy, Usage
from node.ingest.flow_limits import FlowLimits, limits_of
from node.kinds import EMBEDDED, KINDS
from node.parts import Parts
from node.quantities import duration_text
from node.replication.view import PeerView
from node.rows import Replicas
from protocol import fields
from protocol.admission import CURATOR
from protocol.limits import FLOW_NAME_BYTES, NAME_BYTES, TIME_MS_MAX
from protocol.pin import Pin, safe_name
from store.images.sniff import FORMATS


def check_may_write(parts: Parts) -> None:
    """Whether this peer may write pins and flows now.

    Raises:
        RefusedByPolicy: it is no curator, or its clock is wrong.
    """
    standing = parts.records.counting.standing(parts.key.peer_id)
    if standing is not None and standing.expelled:
        raise RefusedByPolicy("this peer was expelled by a steward", hint="`pinakothek doctor` says when and why")
    if standing is not None and standing.left:
        raise RefusedByPolicy("this peer has left the swarm")
    if CURATOR not in parts.records.counting.role(parts.key.peer_id):
        raise RefusedByPolicy("this peer is no curator", hint="a steward can invite it anew with --role curator,keeper")
    check_clock(parts)


def check_clock(parts: Parts) -> None:
    """Raises: RefusedByPolicy: the clock is so far off that others would not take what is written by it."""
    verdict = parts.knowledge.membership.clock()
    if verdict.wrong:
        raise RefusedByPolicy(f"clock: {offset_text(verdict.ahead_ms)}: nothing is written by it", hint="set the clock")


def offset_text(ahead_ms: int | None) -> str:
    """How far this peer's clock is off, for people."""
    if ahead_ms is None:
        return "nobody to compare it with"
    return f"{duration_text(abs(ahead_ms) / 1000)} {'ahead of' if ahead_ms > 0 else 'behind'} the other peers' median"


def check_backend(parts: Parts, kind: str) -> None:
    """Whether images may go to a backend.

    Raises:
        Usage: there is no such backend.
        RefusedByPolicy: it makes no replica, is not allowed, or is not available.
    """
    if kind not in KINDS:
        raise Usage(f"backend {kind!r}: expected one of {', '.join(sorted(KINDS))}")
    charter = parts.records.counting.charter
    if charter is not None and kind not in charter.counts:
        raise RefusedByPolicy(f"backend {kind}: the charter counts copies on {', '.join(charter.counts)} only")
    if charter is not None and charter.backends and kind not in charter.backends:
        raise RefusedByPolicy(f"backend {kind}: the charter allows {', '.join(charter.backends)} only")
    allowed = parts.settings.config.allow_backends
    if allowed is not None and kind not in allowed:
        raise RefusedByPolicy(
            f"backend {kind}: this peer's operator allows {', '.join(sorted(allowed))} only",
            hint="`pinakothek config show` says where that is set",
        )


def check_offered(parts: Parts, kind: str) -> None:
    """Whether there is a keeper for a backend that a flow is to use.

    Raises:
        RefusedByPolicy: nobody who is here offers it.
    """
    if kind == EMBEDDED or live_keepers(parts, kind):
        return
    place = parts.offering.places.get(kind)
    if place is not None and place.trouble:
        raise RefusedByPolicy(f"backend {kind}: no keeper offers it; here: {place.trouble}")
    raise RefusedByPolicy(f"backend {kind}: no keeper that is here offers it", hint=f"configure backends.{kind} on one")


def backend_of(parts: Parts, flow: str) -> str:
    """Where a flow's new images go."""
    known = parts.records.counting.flows.get(flow)
    return (known.record.backend if known is not None else None) or parts.offering.default


def check_flow_name(name: str) -> None:
    """Raises: Usage: no name for a flow."""
    if not name or len(name.encode()) > FLOW_NAME_BYTES or not name.isprintable():
        raise Usage(f"flow {name[:64]!r}: expected 1 to {FLOW_NAME_BYTES} bytes without control characters")


def check_pin_name(name: str) -> None:
    """Raises: Usage: a name that could not be restored below a folder."""
    if not name or len(name.encode()) > NAME_BYTES or not safe_name(name):
        raise Usage(f"name {name[:64]!r}: expected a relative path of 1 to {NAME_BYTES} bytes without . and ..")


def check_bounds(parts: Parts, replicas: Replicas | None) -> fields.Replicas | None:
    """The factor as records have it. Raises: RefusedByPolicy: outside the charter's bounds, which are named."""
    charter = parts.records.counting.charter
    if replicas is None:
        return None
    if charter is not None and not charter.bounds.min <= replicas.min <= replicas.max <= charter.bounds.max:
        bounds = f"{charter.bounds.min}:{charter.bounds.max}"
        raise RefusedByPolicy(f"replicas {replicas.min}:{replicas.max}: the charter's bounds are {bounds}")
    return fields.Replicas(replicas.min, replicas.max)


def check_flow(parts: Parts, flow: str) -> None:
    """Whether this peer may add to a flow.

    Raises:
        Usage: no name for one.
        RefusedByPolicy: its adders are others, or its backend is not to be had.
    """
    check_flow_name(flow)
    known = parts.records.counting.flows.get(flow)
    if known is not None and known.record.adders and parts.key.peer_id not in known.record.adders:
        raise RefusedByPolicy(f"flow {flow}: this peer is none of those who may add to it")
    check_backend(parts, backend_of(parts, flow))


def flow_limits(parts: Parts, flow: str) -> FlowLimits:
    """What a flow takes."""
    known = parts.records.counting.flows.get(flow)
    return limits_of(flow, known.record if known is not None else None)


def media_types(names: Sequence[str]) -> tuple[str, ...]:
    """Formats as people write them (`jpeg`, `image/png`), as records have them. Raises: Usage: one is unknown."""
    by_name = {
        name: each.media_type for each in FORMATS for name in (each.name.lower(), each.extension, each.media_type)
    }
    for name in names:
        if name.lower() not in by_name:
            raise Usage(f"type {name!r}: expected some of {', '.join(each.name.lower() for each in FORMATS)}")
    return tuple(sorted({by_name[name.lower()] for name in names}))


def check_wait(parts: Parts, wait: int, flow: str, replicas: fields.Replicas | None) -> None:
    """Whether so many keepers can come to hold a root at all.

    Those count that may be heard any moment: what was asked for right after a start is waited for, not refused.

    Raises:
        RefusedByPolicy: more than the factor's max, or than the keepers that are here.
    """
    factor = parts.records.counting.replicas_of(Pin(id=b"", flow=flow, root=b"", replicas=replicas))
    if wait > factor.max:
        copies = "1 copy" if factor.max == 1 else f"{factor.max} copies"
        raise RefusedByPolicy(f"wait {wait}: there will be {copies}", hint="ask for more with --replicas")
    kind = backend_of(parts, flow)
    keepers = live_keepers(parts, kind, awaited=True)
    if wait > keepers and (wait > 1 or kind != EMBEDDED):
        if kind != EMBEDDED:
            raise RefusedByPolicy(f"wait {wait}: live keepers that offer {kind}: {keepers}")
        raise RefusedByPolicy(f"wait {wait}: only {keepers} {'keeper is' if keepers == 1 else 'keepers are'} alive")


def live_keepers(parts: Parts, kind: str, *, awaited: bool = False) -> int:
    """Stores of keepers that are alive and offer a backend; peers that share a store count once.

    Args:
        awaited: count those as well that are not heard yet, as far as is known of them.
    """
    now_s = trio.current_time()
    membership = parts.knowledge.membership

    def is_able(peer: PeerView) -> bool:
        if peer.state == "alive":
            return kind in peer.kinds
        awaits = awaited and peer.state == "suspect" and membership.is_awaited(peer.peer_id, now_s)
        return awaits and (kind in peer.kinds or not peer.heard)

    peers = parts.controller.beliefs.view(()).peers.values()
    return len({peer.store_ids.get(kind, peer.peer_id) for peer in peers if peer.keeper and is_able(peer)})


def expiry_ms(now_ms: int, expires_s: float | None) -> int | None:
    """When a pin ends, as records have it."""
    return None if expires_s is None else min(now_ms + int(expires_s * 1000), TIME_MS_MAX)
