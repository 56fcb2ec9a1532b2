"""The frames of a call: varint length, then number, kind and body.

A frame's payload is an eight-byte big-endian number and, in an answer, one byte of kind: 0 for a body, 1 for a refusal
made of a code and a detail in UTF-8 with a zero byte between them.
"""

import struct
from dataclasses import dataclass

from protocol.net.errors import BrokenProtocol
from protocol.net.streams import Stream

_NUMBER = struct.Struct(">Q")
_ANSWER = struct.Struct(">QB")
_DONE, _REFUSED = 0, 1

REFUSAL_BYTES = 1024
"""Of code and detail together; longer details are cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A question; `number` is unique on its stream."""

    number: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: a body, or (code, detail) of a refusal."""

    number: int
    body: bytes = b""
    refusal: tuple[str, str] | None = None


def call_frame(call: Call) -> bytes:
    """The payload of a call, without its length."""
    return _NUMBER.pack(call.number) + call.body


def answer_frame(answer: Answer) -> bytes:
    """The payload of an answer, without its length."""
    if answer.refusal is None:
        return _ANSWER.pack(answer.number, _DONE) + answer.body
    code, detail = (part.replace("\0", " ") for part in answer.refusal)
    return _ANSWER.pack(answer.number, _REFUSED) + f"{code}\0{detail}".encode()[:REFUSAL_BYTES]


async def read_call(stream: Stream, max_body_bytes: int) -> Call | None:
    """The next call; None at the clean end. Raises `BrokenProtocol` for anything that is no call."""
    frame = await stream.read_frame(_NUMBER.size + max_body_bytes)
    if frame is None:
        return None
    if len(frame) < _NUMBER.size:
        raise BrokenProtocol(f"{stream.peer_id} sent a call of {len(frame)} bytes")
    return Call(number=_NUMBER.unpack_from(frame)[0], body=frame[_NUMBER.size :])


async def read_answer(stream: Stream, max_body_bytes: int) -> Answer | None:
    """The next answer; None at the clean end. Raises `BrokenProtocol` for anything that is no answer."""
    frame = await stream.read_frame(_ANSWER.size + max(max_body_bytes, REFUSAL_BYTES))
    if frame is None:
        return None
    if len(frame) < _ANSWER.size or frame[_NUMBER.size] not in (_DONE, _REFUSED):
        raise BrokenProtocol(f"{stream.peer_id} sent an answer that is none")
    number, kind = _ANSWER.unpack_from(frame)
    if kind == _DONE:
        return Answer(number=number, body=frame[_ANSWER.size :])
    code, _, detail = frame[_ANSWER.size :].decode(errors="replace").partition("\0")
    return Answer(number=number, refusal=(code, detail))
