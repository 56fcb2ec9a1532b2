"""Archives: what is written reads back, and what was cut off or changed is noticed where it happened."""

import contextlib
import io
from collections.abc import Callable

import libipld
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.car import MAX_ROOTS, CarReader, car_header, frame_prefix, write_car
from store.cid import DAG_CBOR, RAW, cid_of, identity_cid
from store.dag_pb import MAX_BLOCK_BYTES
from store.errors import BlockCorrupt, DagMalformed, DagTooLarge, DagUnsupported, StoreError
from store.varint import encode_varint

A = cid_of(RAW, b"a")
V0 = cid_of(RAW, b"a")[2:]


def archive(blocks: list[bytes], roots: list[bytes] | None = None) -> bytes:
    pairs = [(cid_of(RAW, block), block) for block in blocks]
    return b"".join(write_car([A] if roots is None else roots, pairs))


class Pipe(io.BytesIO):
    """Gives at most seven bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 7))


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_an_archive_reads_back_from_files_and_pipes(blocks: list[bytes]) -> None:
    written = archive(blocks, [A, V0])
    for stream in (io.BytesIO(written), Pipe(written)):
        reader = CarReader(stream)
        assert reader.roots == [A, V0]
        frames = list(reader)
        assert [frame.data for frame in frames] == blocks
        assert reader.end_bytes == len(written)
        for frame in frames:
            assert written[frame.offset_bytes : frame.end_bytes] == frame.data


def test_other_software_reads_it() -> None:
    documents = [libipld.encode_dag_cbor(text) for text in ("one", "two")]
    pairs = [(cid_of(DAG_CBOR, document), document) for document in documents]
    header, blocks = libipld.decode_car(b"".join(write_car([A], pairs)))
    assert header["version"] == 1
    assert list(header["roots"]) == [A]
    assert list(blocks.values()) == ["one", "two"]


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4), st.data())
def test_an_archive_cut_off_anywhere_keeps_its_whole_frames(blocks: list[bytes], data: st.DataObject) -> None:
    written = archive(blocks)
    header_bytes = len(car_header([A]))
    kept = data.draw(st.integers(header_bytes, len(written) - 1))
    reader = CarReader(io.BytesIO(written[:kept]))
    read = []
    with contextlib.suppress(DagMalformed):
        for frame in reader:
            read.append(frame.data)
    assert len(read) == sum(end <= kept for end in ends_of(written))
    assert archive(read) == written[: reader.end_bytes]


def ends_of(written: bytes) -> list[int]:
    return [frame.end_bytes for frame in CarReader(io.BytesIO(written))]


@given(st.binary(max_size=200))
def test_any_bytes_are_an_archive_or_refused(raw: bytes) -> None:
    for candidate in (raw, archive([b"x"])[: len(raw)] + raw, car_header([A]) + raw):
        with contextlib.suppress(StoreError):
            list(CarReader(io.BytesIO(candidate)))


def changed_block() -> bytes:
    return archive([b"good"])[:-1] + b"!"


def huge_frame() -> bytes:
    return car_header([A]) + encode_varint(MAX_BLOCK_BYTES * 2)


def huge_block() -> bytes:
    return archive([bytes(MAX_BLOCK_BYTES + 1)])


def header_of(document: object) -> bytes:
    header: bytes = libipld.encode_dag_cbor(document)
    return encode_varint(len(header)) + header


@pytest.mark.parametrize(
    ("make", "error", "why"),
    [
        (lambda: b"", DagMalformed, "empty"),
        (lambda: b"\xff" * 20, DagMalformed, "no frame at byte 0"),
        (lambda: car_header([A]) + b"\x00" * 8, DagMalformed, "in a frame of 0 bytes"),
        (lambda: header_of({"version": 2}), DagUnsupported, "archive of version 2"),
        (lambda: header_of([]), DagUnsupported, "archive of version None"),
        (lambda: header_of({"version": 1, "roots": 3}), DagMalformed, "links outside"),
        (changed_block, BlockCorrupt, "bytes hash to"),
        (huge_frame, DagTooLarge, "section of an archive"),
        (huge_block, DagTooLarge, "block size in bytes"),
    ],
)
def test_hostile_archives_are_refused(make: Callable[[], bytes], error: type[StoreError], why: str) -> None:
    with pytest.raises(error, match=why):
        list(CarReader(io.BytesIO(make())))


def test_checking_blocks_can_be_left_to_the_caller() -> None:
    assert [frame.data for frame in CarReader(io.BytesIO(changed_block()), verify=False)] == [b"goo!"]


def test_a_frame_of_an_identity_cid_is_whole() -> None:
    cid = identity_cid(RAW, b"held")
    written = car_header([cid]) + frame_prefix(cid, 4) + b"held"
    assert [frame.cid for frame in CarReader(io.BytesIO(written))] == [cid]


@pytest.mark.parametrize("count", [0, 1, 23, 24, 255, 256, MAX_ROOTS])
def test_any_number_of_roots_up_to_the_bound_is_read_back(count: int) -> None:
    roots = [cid_of(RAW, b"%d" % number) for number in range(count)]
    assert CarReader(io.BytesIO(car_header(roots))).roots == roots


def test_roots_are_bounded() -> None:
    with pytest.raises(ValueError, match="at most"):
        car_header([A] * (MAX_ROOTS + 1))
