"""CARv1, the archive of blocks that IPFS tools exchange: a header with the roots, then one frame a block.

Written and read as a stream. A reader says where each frame lies in the file, so that a pack can be indexed and what
was cut off at its end be found.

Source: https://ipld.io/specs/transport/car/carv1/
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import libipld

from store.cid import MAX_CID_BYTES, split_cid, verify_block
from store.dag_cbor import cbor_links
from store.dag_pb import MAX_BLOCK_BYTES
from store.errors import DagMalformed, DagTooLarge, DagUnsupported
from store.varint import MAX_MULTIFORMATS_BYTES, VarintError, encode_varint, read_varint

MAX_HEADER_BYTES = 64 * 1024
"""Room for 1,500 roots. A guess: other software writes one."""
MAX_ROOTS = 1000


class CarFrame(NamedTuple):
    """One block of an archive.

    Attributes:
        cid, data: the block.
        offset_bytes: where `data` begins in the archive.
        end_bytes: where the frame ends, and an archive cut off here is still whole.
    """

    cid: bytes
    data: bytes
    offset_bytes: int
    end_bytes: int


def car_header(roots: Sequence[bytes]) -> bytes:
    """Return the beginning of an archive with these roots, at most `MAX_ROOTS`."""
    if len(roots) > MAX_ROOTS:
        raise ValueError(f"`roots` must be at most {MAX_ROOTS}, not {len(roots)}")
    links = b"".join(b"\xd8\x2a\x58" + bytes((len(root) + 1,)) + b"\0" + root for root in roots)
    # {"roots": […], "version": 1}; libipld would write a CID as plain bytes.
    header = b"\xa2\x65roots" + _array_head(len(roots)) + links + b"\x67version\x01"
    return encode_varint(len(header)) + header


def _array_head(count: int) -> bytes:
    """How DAG-CBOR begins a list of so many, in its shortest form."""
    if count < 24:
        return bytes((0x80 | count,))
    return b"\x98" + bytes((count,)) if count < 256 else b"\x99" + count.to_bytes(2, "big")


def frame_prefix(cid: bytes, size_bytes: int) -> bytes:
    """Return what precedes the `size_bytes` of a block in its frame."""
    return encode_varint(len(cid) + size_bytes) + cid


def write_car(roots: Sequence[bytes], blocks: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Yield the archive in pieces, each block's bytes a piece of their own and not copied."""
    yield car_header(roots)
    for cid, data in blocks:
        yield frame_prefix(cid, len(data))
        yield data


class CarReader:
    """Read an archive from a binary stream; iterate for its frames.

    Args:
        stream: at the beginning of the archive. It is read no further than the frames taken.
        verify: check each block against its CID; without, that is the caller's to do.

    Attributes:
        roots: of the header.
        end_bytes: where the last whole frame taken ends; of the header at first.

    Raises:
        DagMalformed: cut short, or no archive; `end_bytes` says up to where all was well.
        DagTooLarge: a header or frame above its bound.
        DagUnsupported: another version of the format.
        BadCid, BlockCorrupt: of a frame.
    """

    def __init__(self, stream: BinaryIO, *, verify: bool = True) -> None:
        self._stream = stream
        self._verify = verify
        self._at_bytes = 0
        header = self._section(MAX_HEADER_BYTES)
        if header is None:
            raise DagMalformed("archive: empty")
        self.roots = _roots(header)
        self.end_bytes = self._at_bytes

    def __iter__(self) -> Iterator[CarFrame]:
        while (section := self._section(MAX_CID_BYTES + MAX_BLOCK_BYTES)) is not None:
            cid_bytes = _cid_bytes(section)
            cid, data = section[:cid_bytes], section[cid_bytes:]
            split_cid(cid)
            if len(data) > MAX_BLOCK_BYTES:
                raise DagTooLarge("block size in bytes", len(data), MAX_BLOCK_BYTES, cid)
            if self._verify:
                verify_block(cid, data)
            self.end_bytes = self._at_bytes
            yield CarFrame(cid, data, self._at_bytes - len(data), self._at_bytes)

    def _section(self, max_bytes: int) -> bytes | None:
        """The next length and what it counts, None at the end of the stream."""
        head = bytearray()
        start_bytes = self._at_bytes
        while not head or head[-1] >= 0x80:
            byte = self._read(1)
            if not byte and not head:
                return None
            if not byte or len(head) == MAX_MULTIFORMATS_BYTES:
                raise DagMalformed(f"archive: no frame at byte {start_bytes}")
            head += byte
        try:
            size_bytes, _ = read_varint(bytes(head), 0)
        except VarintError as error:
            raise DagMalformed(f"archive: {error} at byte {start_bytes}") from error
        if size_bytes > max_bytes:
            raise DagTooLarge("section of an archive in bytes", size_bytes, max_bytes)
        section = self._read(size_bytes)
        if len(section) < size_bytes:
            raise DagMalformed(f"archive: the section of {size_bytes} bytes at byte {start_bytes} is cut short")
        return section

    def _read(self, size_bytes: int) -> bytes:
        """As many bytes, or all that are left: a pipe gives fewer at a time."""
        pieces = []
        while size_bytes and (piece := self._stream.read(size_bytes)):
            pieces.append(piece)
            size_bytes -= len(piece)
            self._at_bytes += len(piece)
        return b"".join(pieces)


def _roots(header: bytes) -> list[bytes]:
    roots = cbor_links(header)
    document = libipld.decode_dag_cbor(header)
    version = document.get("version") if isinstance(document, dict) else None
    if version != 1:
        raise DagUnsupported(f"archive of version {version!r}, only CARv1 is read")
    if document.get("roots", []) != roots:
        raise DagMalformed("archive: the header has links outside of its roots")
    for root in roots:
        split_cid(root)
    return roots


def _cid_bytes(section: bytes) -> int:
    """Length of the CID that a frame begins with."""
    if section.startswith(b"\x12\x20"):
        return 34
    try:
        at = 0
        for _ in range(4):
            value, at = read_varint(section, at)
    except VarintError as error:
        raise DagMalformed(f"archive: {error} in a frame of {len(section)} bytes") from error
    return at + value
