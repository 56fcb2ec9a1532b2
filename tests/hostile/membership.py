"""Become a member with nothing but an invite and the client of our own."""

import struct

import trio

from node.swarm.names import JOIN
from protocol.identity import KeyPair
from protocol.invite import Invite
from protocol.join_messages import JoinAnswer, JoinAsk
from protocol.messages import read_message, write_message
from tests.hostile.client import Client, CutOff, delimited, dialled, selecting

ADMISSION_S = 30.0
_ANSWER = struct.Struct(">QB")


def call(number: int, body: bytes) -> bytes:
    """The frame of a question."""
    return delimited(struct.pack(">Q", number) + body)


def port_of(addrs: list[str]) -> int:
    """The TCP port in a peer's addresses."""
    return int(addrs[0].split("/tcp/")[1].split("/")[0])


async def join(port: int, invite: Invite, key: KeyPair) -> JoinAnswer:
    """Redeem `invite` for `key` at the daemon on `port`. Raises `CutOff` where it does not answer."""
    certificate, redemption = invite.redeem(key.peer_id)
    ask = write_message(JoinAsk(swarm=invite.swarm, certificate=certificate, redemption=redemption))
    with trio.fail_after(ADMISSION_S):
        async with dialled(port, key) as client:
            stream = await client.open(JOIN, call(1, ask))
            body = await _answer(client, stream)
    answer = read_message(body, (JoinAnswer,))
    assert answer is not None
    return answer


async def _answer(client: Client, stream: int) -> bytes:
    head = len(selecting(JOIN))
    size_bytes = head + 1
    while True:
        got = (await client.until_received(stream, size_bytes))[head:]
        length, used = read_varint(got)
        if used and len(got) >= used + length:
            break
        if stream in client.refused:
            raise CutOff("the stream was reset")
        size_bytes = head + max(len(got) + 1, used + length)
    _, kind = _ANSWER.unpack_from(got, used)
    body = got[used + _ANSWER.size : used + length]
    if kind:
        raise CutOff(body.decode(errors="replace"))
    return body


def read_varint(raw: bytes) -> tuple[int, int]:
    """The value and how many bytes it took; (0, 0) where it has not ended."""
    value = 0
    for index, byte in enumerate(raw[:10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, index + 1
    return 0, 0
