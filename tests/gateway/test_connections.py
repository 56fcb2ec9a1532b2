"""The bounds of a connection that take time, with the time made short."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from node.gateway import connections
from node.gateway.connections import PublicConnection, sweep
from tests.gateway.rig import read_all

BODY = b"x" * (64 << 20)
ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = BODY if scope["path"] == "/large" else b"small"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(connections, "SWEEP_S", 0.02)
    monkeypatch.setattr(PublicConnection, "dropped", 0)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=PublicConnection, ws="none", loop="none", log_config=None, access_log=False, lifespan="off",
        interface="asgi3", timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)

    async def serve() -> None:
        sweeping = asyncio.ensure_future(sweep(server.server_state.connections))
        await server.serve(sockets=[listener])
        sweeping.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


def dial(port: int, request: bytes = b"") -> socket.socket:
    channel = socket.create_connection(("127.0.0.1", port), timeout=60)
    channel.sendall(request)
    return channel


@pytest.mark.parametrize("request_bytes", [b"", b"GET / HT", ASK, ASK + b"GET /"])
def test_who_asks_nothing_more_is_dropped(port: int, monkeypatch: pytest.MonkeyPatch, request_bytes: bytes) -> None:
    monkeypatch.setattr(connections, "IDLE_S", 0.1)
    with dial(port, request_bytes) as channel:
        assert read_all(channel).count(b"200 OK") == (1 if request_bytes.startswith(ASK) else 0)
    assert PublicConnection.dropped == 1


def test_a_head_that_trickles_in_is_dropped(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_S", 0.1)
    with dial(port, b"GET / HTTP/1.1\r\n") as channel, pytest.raises(ConnectionError):
        while True:
            channel.sendall(b"x: y\r\n")


def test_who_does_not_read_is_dropped(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STALL_S", 0.1)
    with dial(port, b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n") as channel:
        with dial(port) as other:
            while PublicConnection.dropped == 0:
                other.sendall(ASK)
                assert status(other)
        assert len(read_all(channel)) < len(BODY)


def test_who_reads_is_not(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STALL_S", 0.1)
    monkeypatch.setattr(connections, "MIN_BYTES_PER_S", 1)
    with dial(port, b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n") as channel:
        assert read_all(channel).endswith(BODY)


def status(channel: socket.socket) -> bytes:
    """The status of a small answer, read to its end."""
    received = b""
    while not received.endswith(b"small"):
        received += channel.recv(4096) or pytest.fail(f"closed after {received!r}")
    return received[9:12]


def test_a_newcomer_takes_the_place_of_the_longest_idle(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    with dial(port, ASK) as first, dial(port, ASK) as second, dial(port, ASK) as third:
        assert [status(channel) for channel in (first, second, third)] == [b"200"] * 3
        with dial(port, ASK) as newcomer:
            assert status(newcomer) == b"200"
        assert read_all(first) == b""
        second.sendall(ASK)
        assert status(second) == b"200"


def test_a_newcomer_is_turned_away_where_all_are_busy(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    large = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n"
    with dial(port, large) as first, dial(port, large) as second:
        assert first.recv(100)
        assert second.recv(100)
        with dial(port) as newcomer:
            assert b"503 Service Unavailable" in read_all(newcomer)
