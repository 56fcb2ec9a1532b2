"""Redeem an invite: reach a member, be admitted, and check that what it sends is the invite's own swarm."""

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from node.errors import Failed, RefusedByPolicy, UserError
from node.events import wall_ms
from node.swarm.names import JOIN
from protocol.errors import Refused
from protocol.identity import KeyPair
from protocol.invite import Invite
from protocol.join_messages import JoinAnswer, JoinAsk
from protocol.limits import JOIN_BYTES, MESSAGE_BYTES
from protocol.messages import read_message, write_message
from protocol.net.errors import NetError, RpcRefused
from protocol.net.host import Host
from protocol.net.rpc import Rpc
from protocol.records import Record, Signed, parse_record
from protocol.recordset import RecordSet

TRY_S = 10.0
"""For dialling one address and for its answer, each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """What the joiner starts with: the charters, its admission, and addresses of members."""

    records: tuple[Signed[Record], ...]
    contacts: tuple[str, ...]


def redeem(invite: Invite, key: KeyPair) -> Welcome:
    """Have `key`'s peer admitted, trying the invite's addresses in order.

    Raises:
        RefusedByPolicy: a member answered no: expired, used up, expelled.
        Failed: nobody could be reached, or what answered is not the invite's swarm.
    """
    return trio.run(_redeem, invite, key)


async def _redeem(invite: Invite, key: KeyPair) -> Welcome:
    host = Host(key.seed, is_member=lambda _: False, strangers_may=lambda: frozenset())
    rpc = Rpc(host)
    rpc.register(JOIN, _answer_nobody, max_request_bytes=JOIN_BYTES, max_response_bytes=MESSAGE_BYTES, concurrency=1)
    outcome: Welcome | UserError
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run, [])
        try:
            outcome = await _ask_in_turn(host, rpc, invite, key)
        except UserError as error:  # raised again outside of the nursery, which would wrap it in a group
            outcome = error
        nursery.cancel_scope.cancel()
    if isinstance(outcome, UserError):
        raise outcome
    return outcome


async def _ask_in_turn(host: Host, rpc: Rpc, invite: Invite, key: KeyPair) -> Welcome:
    certificate, redemption = invite.redeem(key.peer_id)
    ask = write_message(JoinAsk(swarm=invite.swarm, certificate=certificate, redemption=redemption))
    failures = []
    for addr in invite.addrs:
        peer_id = addr.rpartition("/p2p/")[2]
        try:
            await host.connect(peer_id, [addr], TRY_S)
            raw = await rpc.call(peer_id, JOIN, ask, TRY_S)
        except RpcRefused as error:
            failures.append(f"{addr}: {error.detail or error.code}")
            continue
        except NetError as error:
            failures.append(str(error))
            continue
        return _checked(invite, key, raw, addr)
    told = "; ".join(failures) or "the invite names no address"
    raise Failed(f"no member of the swarm could be reached: {told}", hint="is the inviting peer running?")


def _checked(invite: Invite, key: KeyPair, raw: bytes, addr: str) -> Welcome:
    try:
        answer = read_message(raw, (JoinAnswer,))
        if answer is not None and not answer.admitted:
            raise RefusedByPolicy(f"the invite was refused: {answer.reason or 'no reason given'}")
        parsed = [parse_record(record) for record in answer.records] if answer else []
    except Refused as error:
        raise Failed(f"{addr} answered what no member would: {error}") from error
    records = tuple(signed for signed in parsed if signed is not None)
    counting = RecordSet(invite.swarm)
    for signed in records:
        counting.merge(signed, wall_ms())
    if counting.charter is None or not counting.role(key.peer_id):
        raise Failed(f"{addr} sent no charter and admission of the invite's swarm", hint="ask for a new invite")
    return Welcome(records=records, contacts=_contacts(answer, invite.addrs))


def _contacts(answer: JoinAnswer | None, first: Sequence[str]) -> tuple[str, ...]:
    told = [
        addr if "/p2p/" in addr else f"{addr}/p2p/{member.peer}"
        for member in (answer.members if answer else ())
        for addr in member.addrs
    ]
    return tuple(dict.fromkeys([*first, *told]))


async def _answer_nobody(peer_id: str, body: bytes) -> bytes:
    raise RpcRefused("not allowed", "a joiner answers nobody")
