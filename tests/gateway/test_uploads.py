"""Bytes of an upload through the gateway to its daemon: once its token was shown, and no more than was said."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from node.demo.peers import wait_until
from node.job_service import NewUpload
from tests.fake_service import FakeService, serving
from tests.gateway.rig import Dags, Running, noise, running_gateway

CONTENT = noise(700_000)


class Behind(NamedTuple):
    """A gateway and its daemon, which expects one upload, `up0`, whose token is `secret`."""

    gateway: Running
    daemon: FakeService


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Behind]:
    Dags().store(tmp_path)
    with serving(tmp_path) as daemon, running_gateway(tmp_path) as gateway:
        daemon.uploads["up0"] = (NewUpload(size_bytes=len(CONTENT)), b"")
        yield Behind(gateway, daemon)


def test_an_upload_reaches_the_daemon_whole_whether_its_length_is_told_or_not(behind: Behind) -> None:
    put = behind.gateway.client.put("/uploads/up0?token=secret", content=CONTENT)
    assert (put.status_code, put.json()) == (200, {"id": "up0", "size_bytes": len(CONTENT)})
    assert put.headers["access-control-allow-origin"] == "*"
    assert behind.daemon.uploads["up0"][1] == CONTENT
    behind.daemon.uploads["up0"] = (NewUpload(size_bytes=len(CONTENT)), b"")
    pieces = (CONTENT[at : at + 70_001] for at in range(0, len(CONTENT), 70_001))
    assert behind.gateway.client.put("/uploads/up0?token=secret", content=pieces).status_code == 200
    assert behind.daemon.uploads["up0"][1] == CONTENT


def test_without_the_token_not_a_byte_is_passed_on(behind: Behind) -> None:
    for path in (
        "/uploads/up0", "/uploads/up0?token=guess", "/uploads/up1?token=secret", "/uploads/?token=secret",
        "/uploads/..%2Fstatus?token=secret", f"/uploads/{'x' * 99}?token=secret", f"/uploads/up0?token={'x' * 200}",
    ):  # fmt: skip
        answer = behind.gateway.client.put(path, content=CONTENT)
        assert (answer.status_code, answer.text) == (404, "no such upload, or it has expired\n"), path
    assert behind.daemon.uploads["up0"][1] == b""


def test_another_size_than_was_said_is_refused_before_it_comes(behind: Behind) -> None:
    answer = behind.gateway.client.put("/uploads/up0?token=secret", content=CONTENT + b"x")
    assert (answer.status_code, answer.text) == (400, f"{len(CONTENT) + 1} bytes, and {len(CONTENT)} were said\n")


def test_pages_of_other_sites_may_use_a_place_that_they_were_given(behind: Behind) -> None:
    answer = behind.gateway.client.request("OPTIONS", "/uploads/up0?token=secret")
    assert (answer.status_code, answer.headers["access-control-allow-methods"]) == (204, "PUT, OPTIONS")
    assert behind.gateway.client.post("/uploads/up0?token=secret", content=b"x").status_code == 405


def test_a_client_that_hangs_up_in_the_middle_leaves_the_place_free(behind: Behind) -> None:
    head = f"PUT /uploads/up0?token=secret HTTP/1.1\r\nhost: x\r\ncontent-length: {len(CONTENT)}\r\n\r\n"
    for _ in range(12):  # more than may be under way at a time
        with behind.gateway.raw(head.encode() + CONTENT[:100_000]) as channel:
            channel.shutdown(socket.SHUT_RDWR)

    def free() -> bool:
        return behind.gateway.client.put("/uploads/up0?token=secret", content=CONTENT).status_code == 200

    wait_until(free, timeout_s=60, what="the place is free")
    assert behind.daemon.uploads["up0"][1] == CONTENT
