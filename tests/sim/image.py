"""Images that cost nothing to make: a DAG-CBOR root over two raw leaves, a couple of kilobytes that stand for megabytes."""

import hashlib
from dataclasses import dataclass
from random import Random

import libipld

BYTES_FOR_ONE = 1000
"""What is printed is multiplied by this: a simulated image of 2 KB stands for one of 2 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image: its blocks, the root first."""

    name: str
    blocks: tuple[tuple[bytes, bytes], ...]

    @property
    def root(self) -> bytes:
        return self.blocks[0][0]

    @property
    def size_bytes(self) -> int:
        return sum(len(block) for _, block in self.blocks)


def make_picture(random: Random, number: int) -> Picture:
    """Distinct for each number and seed."""
    leaves = [_block(0x55, random.randbytes(random.randrange(200, 2000))) for _ in range(2)]
    links = [b"\0" + cid for cid, _ in leaves]
    root = _block(0x71, libipld.encode_dag_cbor([number, *map(_link, links)]))
    return Picture(name=f"image {number}", blocks=(root, *leaves))


def _block(codec: int, data: bytes) -> tuple[bytes, bytes]:
    return bytes([1, codec, 0x12, 32]) + hashlib.sha256(data).digest(), data


def _link(cid: bytes) -> bytes:
    return cid[1:]  # libipld writes bytes that are a CID as a link
