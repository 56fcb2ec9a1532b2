"""`peers`, `members`, `invite`, and who holds a root."""

import hashlib
import os

import trio

from node.errors import Failed, Usage
from node.events import instant, wall_ms
from node.operations import policy
from node.operations.governing import steward_of
from node.operations.linking import unlinked
from node.operations.naming import name_of
from node.operations.written import instant_or_none
from node.parts import Parts
from node.replication.view import PeerView, RootKey
from node.rows import HolderRow, Invite, MemberRow, PeerRow
from node.service import MakeInvite
from protocol.admission import ROLES
from protocol.audit import Copy
from protocol.identity import SEED_BYTES
from protocol.invite import make_invite, parse_invite
from protocol.limits import CERTIFICATE_USES
from protocol.membership import Peer

INVITE_FACT = "invite/"
"""Facts `invite/<hash of the certificate>`: until when, in wall-clock milliseconds, the gate is open for it."""
LONGEST_INVITE_S = 366 * 86_400.0
OWN_WORDS = {"alive": "active"}


def own_word(view: PeerView) -> str:
    """What this peer says of itself."""
    return OWN_WORDS.get(view.state, view.state)


def holder_rows(parts: Parts, key: RootKey) -> tuple[HolderRow, ...]:
    """Who says that it holds a root, and when each last proved it to this peer."""
    proven = parts.auditing.proofs.proven_at(key.root, key.kind)
    views = parts.controller.beliefs.view(()).peers
    rows = []
    for peer_id in sorted(parts.knowledge.holders(key.root, key.kind)):
        view = views.get(peer_id)
        name = name_of(parts, peer_id)
        state = view.state if view else "left"
        zone = view.zone if view else ""
        verdict = parts.auditing.audits.verdict_on(Copy(key.root, key.kind, peer_id))
        rows.append(
            HolderRow(
                peer_id=peer_id,
                name=name,
                zone=zone,
                state=state,
                proven_at=instant_or_none(proven.get(peer_id)),
                doubt=None if verdict == "trusted" else verdict,
            )
        )
    return tuple(rows)


class Members:
    """Answers who belongs and who is there, and lets others in.

    Attributes:
        invites_open_until_ms: when the last of the invites made here ends, 0 without one.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.invites_open_until_ms = max(map(int, parts.store.facts(INVITE_FACT).values()), default=0)

    async def peers(self) -> tuple[PeerRow, ...]:
        """See `Service.peers`; who has left is listed while its holdings are known."""
        now_s = trio.current_time()
        apart = unlinked(self._parts)
        book = self._parts.knowledge.book
        others = [
            peer
            for peer in self._parts.knowledge.membership.peers().values()
            if peer.standing.member or book.of(peer.peer_id).held.elements
        ]
        rows = (
            self._peer_row(peer, now_s, linked=peer.peer_id not in apart)
            for peer in sorted(others, key=lambda peer: peer.peer_id)
        )
        return self._own_row(), *rows

    def _own_row(self) -> PeerRow:
        parts = self._parts
        me = parts.controller.beliefs.view(()).peers[parts.key.peer_id]
        return PeerRow(
            peer_id=parts.key.peer_id,
            name=parts.settings.config.name,
            zone=parts.settings.config.zone,
            state=own_word(me),
            sees="alive",
            roots=len(parts.knowledge.own.here),
            used_bytes=me.used_bytes,
            capacity_bytes=parts.capacity_bytes,
            last_seen_s=0.0,
            addrs=tuple(addr.partition("/p2p/")[0] for addr in parts.host.addrs),
        )

    def _peer_row(self, peer: Peer, now_s: float, *, linked: bool) -> PeerRow:
        beat = peer.beat
        return PeerRow(
            peer_id=peer.peer_id,
            name=(beat.name if beat else None) or "",
            zone=(beat.zone if beat else None) or "",
            state=beat.state if beat else "unknown",
            sees=peer.sees,
            roots=len(self._parts.knowledge.book.of(peer.peer_id).held.elements),
            used_bytes=beat.used_bytes if beat else 0,
            capacity_bytes=beat.capacity_bytes if beat else 0,
            last_seen_s=round(peer.silent_s(now_s) + peer.silent_before_s, 3) if beat else None,
            addrs=tuple(beat.addrs) if beat else (),
            linked=linked,
        )

    async def members(self) -> tuple[MemberRow, ...]:
        """See `Service.members`; guests are listed too."""
        parts = self._parts
        rows = []
        for peer_id, standing in sorted(parts.records.counting.standings().items()):
            if standing.left or standing.expelled:
                continue
            peer = parts.knowledge.membership.get(peer_id)
            sees = "alive" if peer_id == parts.key.peer_id else peer.sees if peer is not None else "suspect"
            rows.append(
                MemberRow(
                    peer_id=peer_id,
                    name=name_of(parts, peer_id),
                    roles=standing.roles,
                    admitted_at=instant(standing.since.ms),
                    sees=sees,
                )
            )
        return tuple(rows)

    async def invite(self, request: MakeInvite) -> Invite:
        """See `Service.invite`."""
        parts = self._parts
        steward = steward_of(parts)
        policy.check_clock(parts)
        roles = _roles(request.roles)
        if request.uses > CERTIFICATE_USES:
            raise Usage(f"uses {request.uses}: at most {CERTIFICATE_USES}")
        if request.expires_s > LONGEST_INVITE_S:
            raise Usage(f"expires {request.expires_s:.0f} s: at most {LONGEST_INVITE_S:.0f} s, a year")
        addrs = tuple(sorted(parts.host.addrs, key=_is_loopback))
        if not addrs:
            raise Failed("this peer listens nowhere, so nobody could redeem an invite", hint="run it with --listen")
        now_ms = wall_ms()
        expires_ms = now_ms + int(request.expires_s * 1000)
        line = make_invite(
            steward,
            swarm=parts.swarm,
            secret=os.urandom(SEED_BYTES),
            addrs=addrs,
            roles=roles,
            uses=request.uses,
            expires_ms=expires_ms,
            now_ms=now_ms,
        )
        await self._open_gate(hashlib.sha256(parse_invite(line).certificate_raw).hexdigest(), expires_ms, now_ms)
        parts.events.tell("invite_made", detail=f"{','.join(roles)} for {request.uses}, until {instant(expires_ms)}")
        return Invite(invite=line, role=",".join(roles), uses=request.uses, expires=instant(expires_ms))

    async def _open_gate(self, certificate_hash: str, expires_ms: int, now_ms: int) -> None:
        def remember() -> None:
            store = self._parts.store
            for name, value in store.facts(INVITE_FACT).items():
                if int(value) < now_ms:
                    store.set_fact(name, None)
            store.set_fact(INVITE_FACT + certificate_hash, str(expires_ms).encode())

        await trio.to_thread.run_sync(remember)
        self.invites_open_until_ms = max(self.invites_open_until_ms, expires_ms)


def _roles(asked: tuple[str, ...]) -> tuple[str, ...]:
    unknown = sorted(set(asked) - set(ROLES))
    if unknown or not asked:
        raise Usage(f"role {unknown[0] if unknown else ''!r}: expected some of {', '.join(ROLES)}")
    return tuple(role for role in ROLES if role in asked)


def _is_loopback(addr: str) -> bool:
    return addr.startswith(("/ip4/127.", "/ip6/::1/"))
