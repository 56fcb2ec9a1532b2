"""Admit whoever redeems an invite: the member's side of `/pinakothek/join/1`.

The only door that strangers have, open while an invite is: eight at once, five seconds and four kilobytes each.
"""

import logging
from collections.abc import Callable

import trio

from node.events import wall_ms
from node.swarm.names import JOIN
from node.swarm.records import SharedRecords
from protocol.admission import Admission, Departure, Expulsion
from protocol.errors import Reason, Refused
from protocol.identity import parse_peer_id
from protocol.invite import admit
from protocol.join_messages import JoinAnswer, JoinAsk, MemberAddrs
from protocol.limits import BEAT_ADDRS, JOIN_BYTES, MEMBERS, MESSAGE_BYTES, REASON_BYTES, RECORDS_PER_BATCH
from protocol.messages import read_message, write_message
from protocol.net.errors import MALFORMED, RpcRefused
from protocol.net.rpc import Rpc

log = logging.getLogger("pinakothek.join")

AT_ONCE = 8
ANSWER_S = 5.0


class Admitting:
    """Answers `JoinAsk`.

    Args:
        addrs_of: where a member was last reachable.
    """

    def __init__(
        self, rpc: Rpc, records: SharedRecords, swarm: bytes, *, addrs_of: Callable[[str], tuple[str, ...]]
    ) -> None:
        self._records = records
        self._swarm = swarm
        self._addrs_of = addrs_of
        self._slots = trio.CapacityLimiter(AT_ONCE)
        rpc.register(JOIN, self._answer, max_request_bytes=JOIN_BYTES, max_response_bytes=MESSAGE_BYTES, concurrency=1)

    async def _answer(self, peer_id: str, body: bytes) -> bytes:
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            raise RpcRefused("busy", f"{AT_ONCE} are joining already") from None
        try:
            with trio.fail_after(ANSWER_S):
                return write_message(await self._admit(peer_id, body))
        except trio.TooSlowError:
            raise RpcRefused("busy", "the disk is slow; try again") from None
        finally:
            self._slots.release()

    async def _admit(self, peer_id: str, body: bytes) -> JoinAnswer:
        try:
            ask = read_message(body, (JoinAsk,), max_bytes=JOIN_BYTES)
        except Refused as error:
            raise RpcRefused(MALFORMED, str(error)) from error
        if ask is None:
            raise RpcRefused("unknown", "not a question of this version")
        try:
            if ask.swarm != self._swarm:
                raise Refused(Reason.WRONG_SWARM, "the invite is for another swarm")
            peer = parse_peer_id(peer_id)
            admission = admit(
                self._records.counting,
                self._records.author,
                peer=peer,
                certificate=ask.certificate,
                redemption=ask.redemption,
                now_ms=wall_ms(),
            )
        except Refused as error:
            self._records.refusals.count_reason(error.reason)
            log.info("%s was not admitted: %s", peer_id, error)
            return JoinAnswer(admitted=False, reason=error.detail[:REASON_BYTES])
        if admission is not None:
            await self._records.accept([admission.raw])
            log.info("%s admitted as %s", peer_id, ", ".join(admission.record.roles))
        return JoinAnswer(admitted=True, records=self._who_belongs(peer_id), members=self._members())

    def _who_belongs(self, joiner: str) -> tuple[bytes, ...]:
        """Charters, admissions, the joiner's own first, expulsions and departures: it syncs the rest as a member."""
        standing = [
            s for s in self._records.counting.governing() if isinstance(s.record, Admission | Expulsion | Departure)
        ]
        standing.sort(key=lambda s: not (isinstance(s.record, Admission) and s.record.peer == joiner))
        return (*self._records.counting.charter_raws, *(s.raw for s in standing))[:RECORDS_PER_BATCH]

    def _members(self) -> tuple[MemberAddrs, ...]:
        members = self._records.counting.members()[:MEMBERS]
        return tuple(MemberAddrs(peer, self._addrs_of(peer)[:BEAT_ADDRS]) for peer in members if self._addrs_of(peer))
