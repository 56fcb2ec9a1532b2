"""What strangers may do to a gateway, and what it then still does."""

import contextlib
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from node.gateway.connections import MAX_CONNECTIONS, MAX_HEAD_BYTES
from store.cid import DAG_PB
from store.dag_pb import PBLink, encode_node
from store.protobuf import bytes_field, varint_field
from store.unixfs_node import DIRECTORY_MESSAGE, encode_file
from tests.gateway.rig import Dags, Running, at, noise, read_all, running_gateway

DEADLINE_S = 60
HUGE_BYTES = 256 << 20


@pytest.fixture(scope="module")
def dags() -> Dags:
    return Dags()


@pytest.fixture(scope="module")
def big(dags: Dags) -> bytes:
    return dags.file(noise(4_000_000))


@pytest.fixture(scope="module")
def huge(dags: Dags) -> bytes:
    """A file of many gigabytes made of few blocks: links to the same leaf."""
    leaf = dags.file(noise(1 << 20, 7))
    count = HUGE_BYTES >> 20
    message = encode_file([1 << 20] * count)
    return dags.block(DAG_PB, encode_node([PBLink(leaf, b"", 1 << 20)] * count, message))


@pytest.fixture(scope="module")
def shards(dags: Dags) -> bytes:
    """A sharded directory without an entry, whose shards lead on and on: a 256-fold tree of few blocks."""
    shard = varint_field(1, 5) + bytes_field(2, b"") + varint_field(5, 0x22) + varint_field(6, 256)
    below = dags.block(DAG_PB, encode_node([], shard))
    for level in range(6):
        links = [PBLink(below, b"%02X" % slot, 1) for slot in range(256)]
        below = dags.block(DAG_PB, encode_node(links, shard + bytes_field(9, bytes([level]))))
    return below


@pytest.fixture(scope="module")
def wide(dags: Dags) -> bytes:
    """A directory as large as a block may be."""
    leaf = dags.file(b"leaf")
    links = [PBLink(leaf, b"%06d" % number, 1) for number in range(35_000)]
    return dags.block(DAG_PB, encode_node(links, DIRECTORY_MESSAGE))


@pytest.fixture(scope="module")
def gateway(
    dags: Dags, big: bytes, huge: bytes, shards: bytes, wide: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    home: Path = tmp_path_factory.mktemp("hostile")
    # The third leaf is missing: the file begins well and cannot be finished.
    missing = [cid for cid in dags.blocks if dags.blocks[cid] == noise(4_000_000)[2 << 20 : 3 << 20]]
    assert len(missing) == 1
    dags.store(home, without=missing)
    with running_gateway(home) as running:
        yield running


@pytest.mark.parametrize("query", ["", "?format=car"])
def test_a_block_missing_in_the_middle_cuts_the_connection(gateway: Running, big: bytes, query: str) -> None:
    before = gateway.metric("cut_total")
    with pytest.raises(httpx.RemoteProtocolError), gateway.client.stream("GET", at(big) + query) as answer:
        assert answer.status_code == 200
        for _ in answer.iter_raw():
            pass
    assert gateway.metric("cut_total") == before + 1


def test_a_file_cut_short_is_also_cut_for_old_clients(gateway: Running, big: bytes) -> None:
    with gateway.raw(f"GET {at(big)} HTTP/1.0\r\n\r\n".encode()) as channel:
        head, _, body = read_all(channel).partition(b"\r\n\r\n")
    assert b"content-length: 4000000" in head
    assert len(body) < 4_000_000


def test_a_range_that_can_be_had_of_it_is_whole(gateway: Running, big: bytes) -> None:
    answer = gateway.get(at(big), range=f"bytes=0-{(1 << 20) - 1}")
    assert answer.content == noise(4_000_000)[: 1 << 20]


def test_a_head_without_end(gateway: Running) -> None:
    with gateway.raw(b"GET /healthz HTTP/1.1\r\nx: ") as channel:
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                channel.sendall(b"y" * 1024)
        assert read_all(channel)[:12] in (b"HTTP/1.1 431", b"")


def test_a_head_that_is_too_large_and_comes_at_once(gateway: Running) -> None:
    answer = gateway.get("/healthz", x="y" * (MAX_HEAD_BYTES + 1))
    assert answer.status_code == 431
    assert gateway.get("/healthz", x="y" * (MAX_HEAD_BYTES // 2)).status_code == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /ipfs/" + b"/" * 9000 + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    ],
)
def test_what_is_hardly_http_costs_its_connection_only(gateway: Running, request_bytes: bytes) -> None:
    with gateway.raw(request_bytes) as channel:
        channel.shutdown(socket.SHUT_WR)
        read_all(channel)
    assert gateway.get("/healthz").status_code == 200


def test_a_body_is_not_read_into_memory(gateway: Running) -> None:
    before = gateway.rss_bytes()
    with gateway.raw(b"POST /ipfs/x HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999\r\n\r\n") as channel:
        for _ in range(200):
            channel.sendall(b"y" * (1 << 18))
    assert gateway.rss_bytes() - before < 16 << 20


def test_pipelined_requests_are_answered_in_order(gateway: Running) -> None:
    ask = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    with gateway.raw(ask * 8 + last) as channel:
        assert re.findall(rb"HTTP/1.1 (\d+)", read_all(channel)) == [b"200", b"404"] * 8 + [b"200"]


def test_thousands_of_requests_ahead_of_their_answers(gateway: Running) -> None:
    before = gateway.metric("dropped_total")
    with gateway.raw(b"GET /healthz HTTP/1.1\r\n\r\n" * 8000) as channel:
        assert read_all(channel).count(b"200 OK") < 8000
    assert gateway.metric("dropped_total") == before + 1


def test_thousands_of_header_fields(gateway: Running) -> None:
    with gateway.raw(b"GET /healthz HTTP/1.1\r\n" + b"a:\r\n" * 3000) as channel:
        assert read_all(channel)[:12] in (b"HTTP/1.1 431", b"")


def test_a_client_that_hangs_up_stops_the_work(gateway: Running, huge: bytes) -> None:
    before = gateway.metric("sent_bytes_total")
    for _ in range(3):
        with gateway.raw(f"GET {at(huge)} HTTP/1.1\r\nhost: x\r\n\r\n".encode()) as channel:
            channel.recv(100_000)
    ends_s = time.monotonic() + DEADLINE_S
    while gateway.metric("connections") > 1 and time.monotonic() < ends_s:
        pass
    assert gateway.metric("connections") == 1
    assert gateway.metric("sent_bytes_total") - before < HUGE_BYTES


def test_slow_readers_cost_a_bounded_amount_and_keep_nobody_from_small_answers(gateway: Running, huge: bytes) -> None:
    before = gateway.rss_bytes()
    with ExitStack() as open_ones:
        for _ in range(150):
            channel = gateway.raw(f"GET {at(huge)} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            open_ones.enter_context(channel)
        for _ in range(20):
            assert gateway.get("/healthz").status_code == 200
        assert gateway.rss_bytes() - before < 160 << 20


def test_a_tree_of_empty_shards_ends(gateway: Running, shards: bytes) -> None:
    assert gateway.get(at(shards) + "/").status_code == 502
    assert gateway.get(at(shards, "name")).status_code in (404, 502)


def test_a_directory_as_large_as_a_block(gateway: Running, wide: bytes) -> None:
    assert gateway.get(at(wide, "034999")).content == b"leaf"
    assert gateway.get(at(wide, "absent")).status_code == 404
    assert "the first 10,000 entries" in gateway.get(at(wide) + "/").text


@pytest.mark.slow
def test_ten_thousand_connections(gateway: Running) -> None:
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < count + 500:
        pytest.fail(f"a hard limit of {hard} open files is too low for this test")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    with ExitStack() as open_ones:
        for number in range(count):
            with contextlib.suppress(ConnectionError):
                open_ones.enter_context(gateway.raw(b"GET /hea" if number % 2 else b""))
            if number % 1000 == 999:
                with httpx.Client(trust_env=False) as other:
                    assert other.get(f"http://127.0.0.1:{gateway.port}/healthz", timeout=60).status_code == 200
        with httpx.Client(trust_env=False) as other:
            text = other.get(f"http://127.0.0.1:{gateway.port}/metrics", timeout=60).text
        assert f"pinakothek_gateway_connections {MAX_CONNECTIONS}\n" in text
        assert gateway.rss_bytes() < 250 << 20
