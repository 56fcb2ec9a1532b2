"""The control socket as its clients meet it: who may use it, what it refuses, and that nobody can hold it up."""

import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from hypercorn.trio.tcp_server import TCPServer
from trio.testing import MockClock, wait_all_tasks_blocked

from node.control import listener
from node.control.address import MAX_ADDRESS_BYTES, socket_path
from node.control.client import Control
from node.control.listener import OwnerListener, PatientStream, listen
from node.control.server import serve
from node.errors import (
    Ambiguous,
    DaemonNotRunning,
    Failed,
    NotFound,
    RefusedByPolicy,
    TimedOut,
    Usage,
    UserError,
)
from tests.fake_service import FakeService

PATIENCE_S = 30.0


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[FakeService]:
    fake = FakeService(home)
    stop = trio.Event()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve, fake, home, stop, version="0.1.0", grace_s=0.1))
            yield fake
            stop.set()


async def ask(home: Path, method: str, path: str, body: object = None) -> Any:
    def call() -> Any:
        with Control(home) as control:
            return control.call(method, path, body)

    return await trio.to_thread.run_sync(call)


async def raw(home: Path, request: bytes, limit: int = 65_536) -> bytes:
    """Send bytes as they are; what comes back until the server closes, or `limit` bytes."""
    stream = await trio.open_unix_socket(str(socket_path(home)))
    answer = b""
    async with stream:
        await stream.send_all(request)
        # A server that closes before it has read everything resets the connection, once the answer is read.
        with contextlib.suppress(trio.BrokenResourceError):
            while len(answer) < limit and (part := await stream.receive_some(limit)):
                answer += part
    return answer


def get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Connection: close", *(headers or ("Host: localhost",))]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_only_the_owner_can_reach_the_socket(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    before = os.umask(0)
    try:
        async with running(tmp_path):
            assert stat.S_IMODE(socket_path(tmp_path).stat().st_mode) == 0o600
            assert stat.S_IMODE(os.stat(tmp_path).st_mode) == 0o700
    finally:
        os.umask(before)
    assert not socket_path(tmp_path).exists()


async def test_another_users_connection_is_closed_unread(tmp_path: Path) -> None:
    async with OwnerListener(listen(tmp_path / "s"), os.geteuid() + 1) as ours, trio.open_nursery() as nursery:
        nursery.start_soon(ours.accept)
        with trio.fail_after(PATIENCE_S):
            async with await trio.open_unix_socket(str(tmp_path / "s")) as stream:
                assert await stream.receive_some(1) == b""
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        (("Host: evil.example",), b"host"),
        (("Host: localhost", "Origin: http://evil.example"), b"origin"),
        (("Host: localhost", "Referer: http://evil.example/"), b"referer"),
    ],
)
async def test_what_a_browser_might_send_is_refused(tmp_path: Path, headers: tuple[str, ...], word: bytes) -> None:
    async with running(tmp_path):
        answer = await raw(tmp_path, get("/v1/status", *headers))
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert word in answer
        assert b'"exit_code":5' in answer


async def test_curl_and_we_are_served(tmp_path: Path) -> None:
    async with running(tmp_path):
        for host in ("localhost", "localhost:80", "pinakothek"):
            assert (await raw(tmp_path, get("/v1/status", f"Host: {host}"))).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", b"431"),
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", b"400"),
        (get("/v1/status").replace(b"Host: localhost\r\n", b""), b"400"),
    ],
    ids=["huge header", "nonsense", "TLS", "no host"],
)
async def test_requests_that_are_none(tmp_path: Path, request_bytes: bytes, status: bytes) -> None:
    async with running(tmp_path):
        assert (await raw(tmp_path, request_bytes)).startswith(b"HTTP/1.1 " + status)
        assert (await ask(tmp_path, "GET", "/v1/status"))["name"] == "ada"


async def test_a_body_is_bounded(tmp_path: Path) -> None:
    async with running(tmp_path):
        with pytest.raises(Usage, match="more than 1048576 bytes"):
            await ask(tmp_path, "POST", "/v1/add", {"path": "x" * 1_100_000})


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "message"),
    [
        ("GET", "/v1/images/nothing", None, NotFound, "nothing: no such image"),
        ("GET", "/v1/images/", None, NotFound, ": no such image"),
        ("DELETE", "/v1/images/", None, NotFound, ": no such image"),
        ("GET", "/v1/images/a%2Fb.png", None, NotFound, "a/b.png: no such image"),
        ("DELETE", "/v1/images/a%2Fb.png", None, NotFound, "a/b.png: no such image"),
        ("GET", "/v1/content/a%2Fb.png/original", None, NotFound, "a/b.png: no such image"),
        ("GET", "/v1/content//original", None, NotFound, ": no such image"),
        ("POST", "/v1/trash/a%2Fb.png/undelete", None, NotFound, "a/b.png: not in the trash"),
        ("DELETE", "/v1/pins/a%2Fb", None, NotFound, "a/b: no such image"),
        ("DELETE", "/v1/flows/a%2Fb", None, RefusedByPolicy, "flow a/b: has 2 live pins"),
        ("GET", "/v1/jobs/events?after=9223372036854775808", None, Usage, "query: after: expected `int` <= 92233"),
        ("GET", "/v1/images?limit=0", None, Usage, "query: limit: expected `int` >= 1"),
        ("GET", "/v1/images?limt=1", None, Usage, "query: limt: no such field"),
        ("GET", "/v1/nothing", None, Usage, "no such resource"),
        ("PUT", "/v1/status", None, Usage, "no such method here"),
        ("POST", "/v1/add", {"path": "/nowhere.png"}, Failed, "no such file or directory"),
        ("POST", "/v1/add", {}, Usage, "body: object missing required field `path`"),
        ("POST", "/v1/add", {"path": "x", "options": {"wait": 0}}, Usage, "body: options.wait: expected `int` >= 1"),
        ("POST", "/v1/add", {"path": "x", "options": {"foo": 0}}, Usage, "body: options.foo: no such field"),
        ("POST", "/v1/pins", {"cid": "x", "replicas": {"min": 3, "max": 2}}, Usage, "expected 1 ≤ min ≤ max"),
        ("POST", "/v1/upload?replicas=3:2", None, Usage, "replicas '3:2'"),
    ],
)
async def test_what_cannot_be_done_is_named(
    tmp_path: Path, method: str, path: str, body: object, kind: type[UserError], message: str
) -> None:
    async with running(tmp_path):
        with pytest.raises(kind) as refused:
            await ask(tmp_path, method, path, body)
        assert message in refused.value.message


async def test_partial_results_and_candidates_come_across(tmp_path: Path) -> None:
    async with running(tmp_path):
        for name in ("a.png", "b.png"):
            (tmp_path / name).write_bytes(b"IMAGE" + name.encode())
            await ask(tmp_path, "POST", "/v1/add", {"path": str(tmp_path / name), "options": {"name": name}})
        with pytest.raises(TimedOut) as late:
            await ask(tmp_path, "POST", "/v1/add", {"path": str(tmp_path / "a.png"), "options": {"wait": 2}})
        assert isinstance(late.value.partial, dict)
        assert late.value.partial["copies"] == 1
        with pytest.raises(Ambiguous) as ambiguous:
            await ask(tmp_path, "GET", "/v1/images/bafybei")
        assert len(ambiguous.value.candidates) == 2


async def test_a_bug_in_one_request_is_told_and_logged_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path):
        (tmp_path / "a.png").write_bytes(b"crash")
        with pytest.raises(Failed, match="internal error: ZeroDivisionError") as told:
            await ask(tmp_path, "POST", "/v1/add", {"path": str(tmp_path / "a.png")})
        assert told.value.hint is not None
        assert "report" in told.value.hint
        assert caplog.records[-1].exc_info is not None
        assert (await ask(tmp_path, "GET", "/v1/status"))["name"] == "ada"


async def test_an_answer_that_breaks_off_is_noticed(tmp_path: Path) -> None:
    async with running(tmp_path):
        (tmp_path / "a.png").write_bytes(b"IMAGE1")
        await ask(tmp_path, "POST", "/v1/add", {"path": str(tmp_path / "a.png")})
        with pytest.raises(Failed, match="broke off after 6 of 7 bytes"):
            await ask(tmp_path, "GET", "/v1/content/bafybei/broken")


async def test_work_for_a_client_that_left_is_cancelled(tmp_path: Path) -> None:
    async with running(tmp_path) as fake:
        body = b'{"cid": "stuck"}'
        head = f"POST /v1/pins HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        async with await trio.open_unix_socket(str(socket_path(tmp_path))) as stream:
            await stream.send_all(head.encode() + body)
            await fake.stuck.wait()
        await fake.abandoned.wait()


async def test_a_client_that_left_leaves_no_connection_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 4)
    async with running(tmp_path):
        for _ in range(12):
            assert (await once_there_is_room(tmp_path))["name"] == "ada"


async def test_whoever_is_one_too_many_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 1)
    async with running(tmp_path), await trio.open_unix_socket(str(socket_path(tmp_path))) as stays:
        await stays.send_all(get("/v1/events"))
        assert await stays.receive_some(4096)
        with pytest.raises(Failed, match="1 connections to the daemon are open already") as told:
            await ask(tmp_path, "GET", "/v1/status")
        assert told.value.hint is not None
        await stays.aclose()
        assert (await once_there_is_room(tmp_path))["name"] == "ada"


async def once_there_is_room(home: Path) -> Any:
    """The status; a connection that was closed this instant may still count."""
    with trio.fail_after(PATIENCE_S / 2):
        while True:
            with contextlib.suppress(Failed):
                return await ask(home, "GET", "/v1/status")
            await trio.sleep(0.01)


async def test_a_bug_in_one_connection_is_logged_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(_: object) -> None:
        raise ZeroDivisionError

    async with running(tmp_path):
        with monkeypatch.context() as patched, pytest.raises(Failed, match="closed the connection"):
            patched.setattr(TCPServer, "_read_data", crash)
            await ask(tmp_path, "GET", "/v1/status")
        await wait_all_tasks_blocked()
        assert caplog.records[-1].exc_info is not None
        assert (await ask(tmp_path, "GET", "/v1/status"))["name"] == "ada"


async def test_a_client_that_does_not_read_cannot_delay_the_stop(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"IMAGE1")
    async with running(tmp_path):
        await ask(tmp_path, "POST", "/v1/add", {"path": str(tmp_path / "a.png")})
        stream = await trio.open_unix_socket(str(socket_path(tmp_path)))
        await stream.send_all(get("/v1/content/bafybei/endless"))
        assert await stream.receive_some(64)
    await stream.aclose()


async def test_a_send_without_progress_is_given_up(autojump_clock: MockClock) -> None:
    class Deaf:
        socket = None

        async def send_all(self, data: object) -> None:
            await trio.sleep_forever()

        async def aclose(self) -> None:
            pass

    stream = PatientStream(Deaf(), timeout_s=5)  # type: ignore[arg-type]
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x")
    assert trio.current_time() == pytest.approx(5)


async def test_events_end_when_the_daemon_stops(tmp_path: Path) -> None:
    async with running(tmp_path):
        stream = await trio.open_unix_socket(str(socket_path(tmp_path)))
        await stream.send_all(get("/v1/events?after=1"))
        seen = b""
        while b"event 3" not in seen:
            seen += await stream.receive_some(4096)
        assert b"id: 2\nevent: pinned\ndata: {" in seen
        assert b"event 1" not in seen
    with trio.fail_after(PATIENCE_S):
        while await stream.receive_some(4096):
            pass
    await stream.aclose()


async def test_a_second_daemon_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path):
        with pytest.raises(Failed, match="a daemon answers here already"):
            listen(socket_path(tmp_path))
        assert (await ask(tmp_path, "GET", "/v1/status"))["name"] == "ada"


async def test_a_dead_daemons_socket_is_taken_over(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(socket_path(tmp_path)))
    dead.close()
    async with running(tmp_path):
        assert (await ask(tmp_path, "GET", "/v1/status"))["name"] == "ada"


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    socket_path(tmp_path).write_text("precious")
    with pytest.raises(Failed, match="not a socket"):
        listen(socket_path(tmp_path))
    assert socket_path(tmp_path).read_text() == "precious"


async def test_a_deep_data_directory_works(tmp_path: Path) -> None:
    home = tmp_path / ("d" * 120) / ("e" * 120)
    home.mkdir(parents=True)
    assert len(os.fsencode(socket_path(home))) > MAX_ADDRESS_BYTES
    async with running(home):
        assert (await ask(home, "GET", "/v1/status"))["data_dir"] == str(home)
    assert not socket_path(home).exists()


@pytest.mark.parametrize(
    ("prepare", "kind", "hint"),
    [
        (lambda home: None, DaemonNotRunning, "start it: pinakothek run"),
        (lambda home: home.rmdir(), DaemonNotRunning, "make it: pinakothek init"),
        (lambda home: os.mkfifo(socket_path(home)), DaemonNotRunning, "start it: pinakothek run"),
    ],
)
def test_no_daemon(tmp_path: Path, prepare: Callable[[Path], object], kind: type[UserError], hint: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    prepare(home)
    with pytest.raises(kind) as refused:
        Control(home).call("GET", "/v1/status")
    assert refused.value.hint == hint


def test_a_socket_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listen(socket_path(tmp_path)).close()
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    with pytest.raises(RefusedByPolicy, match="belongs to another user"):
        Control(tmp_path).call("GET", "/v1/status")


async def test_a_connection_is_reused_and_a_stale_one_replaced(tmp_path: Path) -> None:
    control = Control(tmp_path)
    for _ in range(2):
        async with running(tmp_path):
            for _ in range(2):
                status = await trio.to_thread.run_sync(control.call, "GET", "/v1/status")
                assert status["name"] == "ada"
    control.close()
