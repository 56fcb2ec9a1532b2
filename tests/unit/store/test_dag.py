"""Links of every codec, walks over DAGs, and decoders that bear any bytes."""

import json
from collections.abc import Callable

import libipld
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.cid import DAG_CBOR, DAG_JSON, DAG_PB, RAW, cid_of, cid_text, identity_cid
from store.dag import Visited, links, plan_walk, walk
from store.dag_cbor import cbor_links
from store.dag_json import json_links
from store.dag_pb import MAX_BLOCK_BYTES, PBLink, PBNode, decode_node, encode_node
from store.errors import BadCid, BlockNotFound, DagMalformed, DagTooLarge, DagUnsupported, StoreError
from store.murmur3 import murmur3_64
from store.traversal import Limits, drive_async
from store.unixfs_node import decode_unixfs

A, B = cid_of(RAW, b"a"), cid_of(RAW, b"b")


def cbor_link(cid: bytes) -> bytes:
    return b"\xd8\x2a\x58" + bytes((len(cid) + 1,)) + b"\0" + cid


pb_links = st.builds(PBLink, st.binary(min_size=4, max_size=160), st.binary(max_size=20), st.integers(0, 2**64 - 1))


@given(st.lists(pb_links, max_size=5), st.one_of(st.none(), st.binary(max_size=30)))
def test_dag_pb_survives_its_encoding(pb: list[PBLink], data: bytes | None) -> None:
    assert decode_node(encode_node(pb, data)) == PBNode(tuple(pb), data)


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (b"\x0a\x00\x0a\x00", "two data fields"),
        (b"\x1a\x00", "unexpected field 3 in a node"),
        (b"\x08\x00", "unexpected field 1 in a node"),
        (b"\x12\x06\x0a\x04abcd\x0a\x00\x12\x06\x0a\x04abcd", "both sides of the data"),
        (b"\x12\x02\x12\x00", "a CID of 0 bytes"),
        (b"\x12\x08\x12\x00\x0a\x04abcd", "field 1 of a link follows field 2"),
        (b"\x12\x06\x0a\x04abc", "where 5 are left"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than"),
        (b"\x0b", "wire type 3"),
        (b"\x02\x00", "field number 0"),
        (b"\x0a", "cut short"),
    ],
)
def test_dag_pb_is_read_strictly(block: bytes, why: str) -> None:
    with pytest.raises(DagMalformed, match=why):
        decode_node(block)


def test_the_links_of_a_node_are_bounded() -> None:
    link = PBLink(identity_cid(RAW, b""))
    with pytest.raises(DagTooLarge, match="links in one node: 65537"):
        decode_node(encode_node([link] * 65_537, None))


wrapped = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda pb, message, junk: encode_node(pb, message) + junk,
        st.lists(pb_links, max_size=3),
        st.binary(max_size=40),
        st.binary(max_size=3),
    ),
)


@given(wrapped, st.sampled_from([RAW, DAG_PB, DAG_CBOR, DAG_JSON, 0x51]))
@settings(max_examples=500)
def test_any_bytes_decode_or_are_refused(block: bytes, codec: int) -> None:
    cid = cid_of(codec, block)
    for decode in (links, decode_unixfs):
        try:
            decode(cid, block)
        except StoreError as error:
            assert "\n" not in str(error), error  # noqa: PT017


def test_links_of_dag_cbor_are_not_confused_with_bytes_that_look_like_them() -> None:
    document = b"\xa2\x61a\x83" + cbor_link(A) + b"\x58\x24" + B + cbor_link(B) + b"\x62bb" + cbor_link(A)
    assert cbor_links(document) == [A, B, A]
    assert links(cid_of(DAG_CBOR, document), document) == [A, B]


scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=8), st.just(b"bytes"))
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=15,
)


@given(documents)
def test_any_document_of_dag_cbor_is_scanned_to_its_end(document: object) -> None:
    assert cbor_links(libipld.encode_dag_cbor(document)) == []


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (b"", "cut short"),
        (b"\x00\x00", "ends at byte 1 of 2"),
        (b"\xd8\x2a\x41\x01", "a link that is no CID"),
        (b"\xd8\x2a\x58\x25\x00", "a link that is no CID"),
        (b"\xd8\x2a\x61\x00", "a link that is no CID"),
        (b"\xc1\x00", "tag 1"),
        (b"\x9f\xff", "indefinite length"),
        (b"\xa1\x01\x01", "keys must be strings"),
        (b"\x9b" + b"\xff" * 8, "cut short"),
        (b"\x61\xff", "utf-8"),
    ],
)
def test_what_is_no_dag_cbor_is_refused(block: bytes, why: str) -> None:
    with pytest.raises(DagMalformed, match=why):
        cbor_links(block)


def test_nesting_is_bounded_before_anything_recurses() -> None:
    assert cbor_links(b"\x81" * 127 + b"\x00") == []
    assert json_links(b"[" * 128 + b"]" * 128) == []
    for depth in (129, 1_000_000):
        with pytest.raises(DagTooLarge, match="depth of dag-cbor"):
            cbor_links(b"\x81" * depth + b"\x00")
        with pytest.raises(DagTooLarge, match="depth of dag-json"):
            json_links(b"[" * depth + b"]" * depth)
    assert json_links(json.dumps("[" * 500 + '"' + "{" * 500).encode()) == []


def test_links_of_dag_json() -> None:
    link_a, link_b = {"/": cid_text(A)}, {"/": cid_text(B)}
    document = {"one": [link_a, {"deep": link_b}], "bytes": {"/": {"bytes": "AAEC"}}, "two": link_a}
    assert json_links(json.dumps(document).encode()) == [A, B, A]


@pytest.mark.parametrize(
    ("block", "error", "why"),
    [
        (b"", DagMalformed, "dag-json"),
        (b"\xff", DagMalformed, "utf-8"),
        (b"[NaN]", DagMalformed, "NaN"),
        (b'{"/": 1}', DagMalformed, "kept for links"),
        (b'{"/": "x"}', BadCid, "no text form"),
        (b"9" * 10_000, DagMalformed, "dag-json"),
        (b'"' * 100_001, DagMalformed, "dag-json"),
    ],
)
def test_what_is_no_dag_json_is_refused(block: bytes, error: type[StoreError], why: str) -> None:
    with pytest.raises(error, match=why):
        json_links(block)


def test_unknown_codecs_are_refused_by_name() -> None:
    with pytest.raises(DagUnsupported, match="codec git-raw is none of raw, dag-pb, dag-cbor, dag-json"):
        links(cid_of(0x78, b""), b"")


def test_a_link_of_an_unknown_hash_function_is_refused() -> None:
    block = encode_node([PBLink(b"\x01\x55\x11\x14" + bytes(20))], None)
    with pytest.raises(BadCid, match="sha1"):
        links(cid_of(DAG_PB, block), block)


class Graph(dict[bytes, bytes]):
    """Blocks in memory, made by what they link to."""

    def node(self, *children: bytes, text: bytes = b"") -> bytes:
        data = encode_node([PBLink(child) for child in children], text)
        cid = cid_of(DAG_PB, data)
        self[cid] = data
        return cid

    def leaf(self, data: bytes) -> bytes:
        cid = cid_of(RAW, data)
        self[cid] = data
        return cid

    def get_block(self, cid: bytes) -> bytes:
        if cid not in self:
            raise BlockNotFound(cid)
        return self[cid]


async def test_a_walk_visits_each_block_once_parents_first() -> None:
    graph = Graph()
    a, b = graph.leaf(b"a"), graph.leaf(b"bb")
    inline = identity_cid(DAG_PB, graph.pop(graph.node(a)))
    left, right = graph.node(a, b, text=b"left"), graph.node(b, inline, a)
    root = graph.node(left, right, left)
    expected = [Visited(cid, len(graph[cid])) for cid in (root, left, a, b, right)]
    assert list(walk(root, graph.get_block)) == expected

    async def get_block(cid: bytes) -> bytes:
        return graph.get_block(cid)

    assert [visited async for visited in drive_async(plan_walk(root), get_block)] == expected


def test_a_walk_over_doubled_links_reads_each_level_once() -> None:
    graph = Graph()
    cid = graph.leaf(b"x")
    for level in range(40):
        cid = graph.node(cid, cid, text=bytes((level,)))
    assert len(list(walk(cid, graph.get_block))) == 41


def chain(graph: Graph) -> bytes:
    cid = graph.leaf(b"x")
    for _ in range(10):
        cid = graph.node(cid)
    return cid


def wide(graph: Graph) -> bytes:
    return graph.node(*(cid_of(RAW, bytes((i,))) for i in range(50)))


def heavy(graph: Graph) -> bytes:
    return graph.node(graph.leaf(bytes(600)), graph.leaf(bytes(601)))


def huge(graph: Graph) -> bytes:
    return graph.leaf(bytes(MAX_BLOCK_BYTES + 1))


@pytest.mark.parametrize(
    ("make", "limits", "what"),
    [
        (chain, Limits(max_depth=10), "depth of a DAG"),
        (wide, Limits(max_blocks=50), "blocks of a DAG: 51"),
        (heavy, Limits(max_bytes=1000), "size of a DAG in bytes"),
        (huge, Limits(), "block size in bytes"),
    ],
)
def test_walks_are_bounded(make: Callable[[Graph], bytes], limits: Limits, what: str) -> None:
    graph = Graph()
    root = make(graph)
    with pytest.raises(DagTooLarge, match=what):
        list(walk(root, graph.get_block, limits))


def test_a_missing_block_ends_a_walk_by_its_name() -> None:
    graph = Graph()
    root = graph.node(A)
    with pytest.raises(BlockNotFound, match=cid_text(A)):
        list(walk(root, graph.get_block))


def test_murmur3_equals_its_reference() -> None:
    """Source: the reference implementation's 128-bit results for these texts, first half."""
    assert murmur3_64(b"") == 0
    assert murmur3_64(b"hello") == 0xCBD8A7B341BD9B02
    assert murmur3_64(b"hello, world") == 0x342FAC623A5EBC8E
    assert murmur3_64(b"The quick brown fox jumps over the lazy dog.") == 0xCD99481F9EE902C9
