"""Defect: a multistream message may announce any length, before Noise too, and what no peer would send is waited out.

A kilobyte is what the specification allows. Whoever announces more, or sends no line of text, loses its connection.

Source: https://github.com/multiformats/multistream-select
"""

from typing import Any

from libp2p.io.utils import read_exactly
from libp2p.protocol_muxer import multiselect_communicator

from protocol.net.errors import BrokenProtocol
from protocol.net.patches.release import expect_release

LARGEST_MESSAGE_BYTES = 1024


async def _read_line(reader: Any) -> bytes:
    size_bytes = shift = 0
    while True:
        byte = (await read_exactly(reader, 1))[0]
        size_bytes |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > 14:
            raise BrokenProtocol("a length in a negotiation that is none")
    if size_bytes > LARGEST_MESSAGE_BYTES:
        raise BrokenProtocol(f"{size_bytes} bytes in a negotiation, the limit is {LARGEST_MESSAGE_BYTES}")
    line = await read_exactly(reader, size_bytes) if size_bytes else b""
    if not line.endswith(b"\n") or not line.isascii():
        raise BrokenProtocol("a message in a negotiation that is no line of text")
    return line[:-1]


def apply() -> None:
    """Read no more than may be there."""
    expect_release()
    multiselect_communicator.read_delim = _read_line
