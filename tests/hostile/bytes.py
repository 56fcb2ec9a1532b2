"""Bytes that no honest peer sends, made of a seed: mutations of the wire vectors, bombs of CBOR, lies about lengths."""

import random
from dataclasses import dataclass

from protocol.codec import encode
from tests.hostile.client import delimited, varint
from tests.wire_examples import vectors

VECTORS = tuple(vectors().values())
MESSAGES = tuple(raw for name, raw in vectors().items() if name.startswith("message-"))


@dataclass(frozen=True, slots=True)
class Chance:
    """A seeded source of bad bytes."""

    random: random.Random

    def garbage(self, most: int = 300) -> bytes:
        """Random bytes, at least one."""
        return self.random.randbytes(self.random.randrange(1, most))

    def vector(self) -> bytes:
        """A valid message, record or statement, of whatever kind."""
        return self.random.choice(VECTORS)

    def mutated(self) -> bytes:
        """A vector with something changed; now and then it is still valid."""
        raw = bytearray(self.vector())
        at = self.random.randrange(len(raw))
        match self.random.randrange(6):
            case 0:
                raw[at] ^= 1 << self.random.randrange(8)
            case 1:
                del raw[at:]
            case 2:
                raw += self.garbage(50)
            case 3:
                raw[at:at] = self.garbage(20)
            case 4:
                raw[at : at + 9] = b"\x5b" + b"\xff" * 8  # a byte string of 2^64 - 1
            case 5:
                raw = raw + raw
        return bytes(raw)

    def malformed(self) -> bytes:
        """CBOR that is none, or no message: refused whatever is expected."""
        depth = self.random.randrange(20, 30_000)
        return self.random.choice(
            (
                lambda: b"\x81" * depth + b"\x00",
                lambda: b"\xa1\x61a" * depth + b"\x00",
                lambda: b"\x9b" + b"\xff" * 8,
                lambda: b"\xbf\x61a\x00\xff",
                lambda: b"\xfb\x7f\xf8" + bytes(6),
                lambda: b"\xd8\x2a\x41\x00",
                lambda: b"\x83" + bytes(2),
                lambda: bytes(self.random.randrange(2, 2000)),
                lambda: self.vector()[:-1],
                lambda: self.vector() + b"\x00",
                lambda: encode("info_ask", {})[:-1] + b"\xff",
                lambda: b"\x80" * 5,
            )
        )()

    def unknown(self) -> bytes:
        """A message of a kind that nobody knows: ignored, as a newer peer's would be."""
        return encode(f"kind_{self.random.randrange(10**6)}", {"x": self.random.randrange(10**6)})

    def cid(self) -> bytes:
        """Of a block that nobody has."""
        return b"\x01\x55\x12\x20" + self.random.randbytes(32)

    def wantlist(self) -> bytes:
        """A Bitswap message, framed, that asks for some."""
        wants = (_field(1, _field(1, self.cid()) + b"\x28\x01") for _ in range(self.random.randrange(1, 20)))
        return delimited(_field(1, b"".join(wants)))

    def bad_bitswap(self) -> bytes:
        """A Bitswap message that breaks the format, framed."""
        return self.random.choice(
            (
                lambda: varint(self.random.randrange(5 << 20, 1 << 40)),
                lambda: b"\xff" * 12,
                lambda: delimited(b"\x00\x01"),
                lambda: delimited(b"\x0a\x7f" + bytes(self.random.randrange(60))),
                lambda: delimited(_field(1, _field(1, _field(1, b"cid")))),
                lambda: delimited(_field(1, _field(1, _field(1, bytes(200))))),
                lambda: delimited(_field(1, b"\x0a\x00" * 20_000)),
                lambda: delimited(_field(3, _field(1, bytes(80)) + _field(2, b"x"))),
                lambda: delimited(b"\x0f" + self.garbage()),
                lambda: delimited(_field(3, _field(1, b"\x01\x55\x12\x20") + _field(2, b"unasked"))) * 10,
            )
        )()


def _field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + delimited(value)
