"""The codec against libp2p's generated one, and against bytes nobody honest sends."""

import contextlib
import hashlib

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from libp2p.bitswap.pb.bitswap_pb2 import Message as Generated

from protocol.net import bitswap_wire as wire
from protocol.net.bitswap_cid import BadPrefix, cid_from, prefix_of, read_varint, write_varint
from protocol.net.bitswap_wire import BadMessage, Message, Want, decode, encode, encode_blocks

BLOCK = b"a block"
SHA = hashlib.sha256(BLOCK).digest()

cids = st.binary(min_size=4, max_size=128)
wants = st.builds(
    Want,
    cid=cids,
    block=st.booleans(),
    cancel=st.just(False),
    dont_have=st.booleans(),
    priority=st.integers(0, 2**31 - 1),
)
messages = st.builds(
    Message,
    wants=st.lists(wants, max_size=5),
    full=st.booleans(),
    blocks=st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.binary(max_size=300)), max_size=4),
    have=st.lists(cids, max_size=4),
    dont_have=st.lists(cids, max_size=4),
)


def unframed(framed: bytes) -> bytes:
    length, at = read_varint(framed, 0)
    assert length == len(framed) - at
    return framed[at:]


def generated(message: Message) -> Generated:
    theirs = Generated()
    for want in message.wants:
        theirs.wantlist.entries.add(
            block=want.cid,
            priority=want.priority,
            cancel=want.cancel,
            wantType=0 if want.block else 1,
            sendDontHave=want.dont_have,
        )
    if message.full:
        theirs.wantlist.full = True
    for prefix, block in message.blocks:
        theirs.payload.add(prefix=prefix, data=block)
    for cid in message.have:
        theirs.blockPresences.add(cid=cid, type=0)
    for cid in message.dont_have:
        theirs.blockPresences.add(cid=cid, type=1)
    return theirs


@given(messages)
def test_what_we_write_the_generated_codec_reads(message: Message) -> None:
    theirs = Generated()
    theirs.ParseFromString(unframed(encode(message)))
    assert theirs == generated(message)


@given(messages)
def test_what_the_generated_codec_writes_we_read(message: Message) -> None:
    assert decode(generated(message).SerializeToString()) == message


def test_a_cancel_says_only_that() -> None:
    raw = unframed(encode(Message(wants=[Want(b"abcd", cancel=True)])))
    assert raw == b"\x0a\x0c\x0a\x0a\x0a\x04abcd\x10\x01\x18\x01"
    assert decode(raw).wants[0].cancel


def test_unknown_fields_are_skipped() -> None:
    known = unframed(encode(Message(have=[b"abcd"])))
    unknown = b"\x78\x05" + b"\x7a\x02xx" + b"\x7d\0\0\0\0" + b"\x79\0\0\0\0\0\0\0\0"
    assert decode(unknown + known + unknown) == Message(wants=[], blocks=[], have=[b"abcd"], dont_have=[])


def test_pending_bytes_and_the_old_blocks_of_version_1_0_are_read() -> None:
    theirs = Generated(pendingBytes=7, blocks=[BLOCK])
    [(prefix, block)] = decode(theirs.SerializeToString()).blocks
    assert cid_from(prefix, block) == b"\x12\x20" + SHA


@pytest.mark.parametrize(
    "raw",
    [
        b"\x0a\x05abc",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0b\x0c",
        b"\x00\x00",
        b"\x1d\x00",
        b"\x22\x05\x0a\x03abc",
        b"\x22\x02\x10\x00",
        b"\x0a\x04\x0a\x02\x10\x01",
        b"\x1a\x03\x12\x01x",
        b"\x80",
    ],
    ids=[
        "short",
        "endless varint",
        "group",
        "field 0",
        "fixed",
        "cid of 3",
        "no cid",
        "want of nothing",
        "no prefix",
        "cut",
    ],
)
def test_bytes_no_honest_peer_sends_are_refused(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(raw)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(raw: bytes) -> None:
    with contextlib.suppress(BadMessage):
        decode(raw)


@given(messages, st.data())
def test_a_damaged_message_is_a_message_or_refused(message: Message, data: st.DataObject) -> None:
    raw = bytearray(unframed(encode(message)) or b"\0")
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(BadMessage):
        decode(bytes(raw))


def test_too_many_entries_are_refused_before_they_are_kept() -> None:
    with pytest.raises(BadMessage, match="entries"):
        decode(unframed(encode(Message(wants=[Want(b"abcd")] * (wire.MAX_ENTRIES + 1)))))
    with pytest.raises(BadMessage, match="entries"):
        decode(unframed(encode(Message(have=[b"abcd"] * (wire.MAX_ENTRIES + 1)))))


def test_blocks_of_two_mebibytes_pass_and_larger_ones_do_not() -> None:
    largest = bytes(wire.MAX_BLOCK_BYTES)
    framed = encode(Message(blocks=[(b"\x01\x55\x12\x20", largest)]))
    assert decode(unframed(framed)).blocks[0][1] == largest
    with pytest.raises(BadMessage, match="block of"):
        decode(unframed(encode(Message(blocks=[(b"\x01\x55\x12\x20", largest + b"x")]))))


@pytest.mark.parametrize(
    "cid",
    [
        b"\x12\x20" + SHA,
        b"\x01\x70\x12\x20" + SHA,
        b"\x01\x55\x12\x20" + SHA,
        b"\x01\xa9\x02\x12\x20" + SHA,
        b"\x01\x55\x13\x40" + hashlib.sha512(BLOCK).digest(),
        b"\x01\x55\x1e\x20" + blake3(BLOCK).digest(),
        b"\x01\x55\xa0\xe4\x02\x20" + hashlib.blake2b(BLOCK, digest_size=32).digest(),
        b"\x01\x55\x12\x14" + SHA[:20],
    ],
    ids=["v0", "v1 dag-pb", "raw", "dag-json", "sha2-512", "blake3", "blake2b-256", "20 bytes"],
)
def test_a_block_travels_with_its_prefix_and_hashes_to_its_cid(cid: bytes) -> None:
    [(prefix, block)] = decode(unframed(encode_blocks([(cid, BLOCK)]))).blocks
    assert prefix == prefix_of(cid)
    assert cid_from(prefix, block) == cid
    assert cid_from(prefix, block + b"!") != cid


@pytest.mark.parametrize(
    "prefix",
    [b"", b"\x01", b"\x01\x55\x12", b"\x01\x55\x00\x20", b"\x01\x55\x12\x13", b"\x01\x55\x12\x21", b"\x02\x55\x12\x20",
     b"\x01\x55\x12\x20\x00", b"\x01\x55\xff\x01\x20", b"\xff" * 12],
)  # fmt: skip
def test_prefixes_that_name_no_hash_of_ours_are_refused(prefix: bytes) -> None:
    with pytest.raises(BadPrefix):
        cid_from(prefix, BLOCK)


@given(st.integers(0, 2**63 - 1))
def test_varints_come_back(value: int) -> None:
    raw = write_varint(value)
    assert read_varint(raw + b"rest", 0) == (value, len(raw))
