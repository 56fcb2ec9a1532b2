"""Bitswap 1.2 messages and their bytes: a hand-written codec for one protobuf message.

Generated code would build every entry of a hostile message before anyone could count them. This one counts while it
reads, takes a block out in one slice, and skips what it does not know, as protobuf asks. Pure.

Source: https://specs.ipfs.tech/bitswap-protocol/ (message, 4 MiB a message, 2 MiB a block).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from protocol.net.bitswap_cid import prefix_of, write_varint

MAX_MESSAGE_BYTES = 4 << 20
"""Source: the specification, and boxo's receiver."""
MAX_BLOCK_BYTES = 2 << 20
"""Source: the specification."""
MAX_ENTRIES = 16_384
"""Wants, blocks and presences in one message. boxo sends at most 512 KiB of wantlist, about 12,000 entries."""
MIN_CID_BYTES, MAX_CID_BYTES = 4, 128
_MAX_PREFIX_BYTES = 40


class BadMessage(ValueError):
    """Bytes that no honest peer sends. Whoever sent them is disconnected."""


class Want(NamedTuple):
    """One entry of a wantlist.

    Attributes:
        cid: what is wanted.
        block: the block itself; False asks only whether the peer has it.
        cancel: takes an earlier want back; the other attributes then mean nothing.
        dont_have: asks for an answer when the peer does not have it either.
        priority: higher is wanted sooner.
    """

    cid: bytes
    block: bool = True
    cancel: bool = False
    dont_have: bool = True
    priority: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, either way.

    Attributes:
        wants: the sender's wantlist, or the change of it.
        full: `wants` replaces all that the sender wanted before.
        blocks: pairs of CID prefix and block; see `bitswap_cid.cid_from`.
        have: CIDs the sender has.
        dont_have: CIDs it has not.
    """

    wants: Sequence[Want] = ()
    full: bool = False
    blocks: Sequence[tuple[bytes, bytes]] = ()
    have: Sequence[bytes] = ()
    dont_have: Sequence[bytes] = ()


def encode(message: Message) -> bytes:
    """Return `message` with its length in front, ready for the stream."""
    parts: list[bytes] = []
    if message.wants or message.full:
        entries = b"".join(_field(1, _want(want)) for want in message.wants)
        parts.append(_field(1, entries + b"\x10\x01" if message.full else entries))
    for prefix, block in message.blocks:
        head = _field(1, prefix) + b"\x12" + write_varint(len(block))
        parts += (b"\x1a" + write_varint(len(head) + len(block)) + head, block)
    parts += (_field(4, _field(1, cid)) for cid in message.have)
    parts += (_field(4, _field(1, cid) + b"\x10\x01") for cid in message.dont_have)
    return b"".join((write_varint(sum(map(len, parts))), *parts))


def encode_blocks(blocks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a framed message with `blocks`, pairs of CID and block."""
    return encode(Message(blocks=[(prefix_of(cid), block) for cid, block in blocks]))


def decode(raw: bytes) -> Message:
    """Read one message without its length. Raises: BadMessage."""
    wants: list[Want] = []
    blocks: list[tuple[bytes, bytes]] = []
    have: list[bytes] = []
    dont_have: list[bytes] = []
    full = False
    for number, value in _fields(raw):
        match number, value:
            case 1, bytes():
                full = _read_wantlist(value, wants) or full
            case 2, bytes():
                blocks.append((b"\x00\x70\x12\x20", _sized_block(value)))
            case 3, bytes():
                blocks.append(_read_block(value))
            case 4, bytes():
                cid, absent = _read_presence(value)
                (dont_have if absent else have).append(cid)
        if len(wants) + len(blocks) + len(have) + len(dont_have) > MAX_ENTRIES:
            raise BadMessage(f"more than {MAX_ENTRIES} entries")
    return Message(wants=wants, full=full, blocks=blocks, have=have, dont_have=dont_have)


def _field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + write_varint(len(value)) + value


def _want(want: Want) -> bytes:
    out = _field(1, want.cid)
    if want.priority > 0:
        out += b"\x10" + write_varint(want.priority)
    if want.cancel:
        return out + b"\x18\x01"
    if not want.block:
        out += b"\x20\x01"
    return out + b"\x28\x01" if want.dont_have else out


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70 and at < len(raw):
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise BadMessage("a varint that does not end")


def _fields(raw: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yield (number, value) of every field with a length or a varint; skip fixed-width ones."""
    at, end = 0, len(raw)
    while at < end:
        key, at = _varint(raw, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise BadMessage("a field numbered 0")
        if kind == 2:
            length, at = _varint(raw, at)
            if length > end - at:
                raise BadMessage("a field ends behind its message")
            yield number, raw[at : at + length]
            at += length
        elif kind == 0:
            value, at = _varint(raw, at)
            yield number, value
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
            if at > end:
                raise BadMessage("a field ends behind its message")
        else:
            raise BadMessage(f"wire type {kind}")


def _read_wantlist(raw: bytes, wants: list[Want]) -> bool:
    """Append the entries to `wants`; return whether the list is the full one."""
    full = False
    for number, value in _fields(raw):
        match number, value:
            case 1, bytes():
                wants.append(_read_want(value))
                if len(wants) > MAX_ENTRIES:
                    raise BadMessage(f"more than {MAX_ENTRIES} entries")
            case 2, int():
                full = bool(value)
    return full


def _read_want(raw: bytes) -> Want:
    cid, priority, cancel, have, dont_have = b"", 0, False, False, False
    for number, value in _fields(raw):
        match number, value:
            case 1, bytes():
                cid = value
            case 2, int():
                priority = value if value < 1 << 31 else 0
            case 3, int():
                cancel = bool(value)
            case 4, int():
                have = value == 1
            case 5, int():
                dont_have = bool(value)
    return Want(_sized_cid(cid), not have, cancel, dont_have, priority)


def _read_block(raw: bytes) -> tuple[bytes, bytes]:
    prefix = block = b""
    for number, value in _fields(raw):
        match number, value:
            case 1, bytes():
                prefix = value
            case 2, bytes():
                block = value
    if not 0 < len(prefix) <= _MAX_PREFIX_BYTES:
        raise BadMessage(f"a CID prefix of {len(prefix)} bytes")
    return prefix, _sized_block(block)


def _read_presence(raw: bytes) -> tuple[bytes, bool]:
    cid, absent = b"", False
    for number, value in _fields(raw):
        match number, value:
            case 1, bytes():
                cid = value
            case 2, int():
                absent = value == 1
    return _sized_cid(cid), absent


def _sized_cid(cid: bytes) -> bytes:
    if not MIN_CID_BYTES <= len(cid) <= MAX_CID_BYTES:
        raise BadMessage(f"a CID of {len(cid)} bytes")
    return cid


def _sized_block(block: bytes) -> bytes:
    if len(block) > MAX_BLOCK_BYTES:
        raise BadMessage(f"a block of {len(block)} bytes")
    return block
