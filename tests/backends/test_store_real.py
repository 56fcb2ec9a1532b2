"""The store on a real Kubo and a real S3 server: images move through all kinds, and bad answers lose nothing."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store.backends import Backend, kubo_backend, local_backend
from store.cid import cid_text
from store.errors import BackendRefused, BackendUnavailable, BlockCorrupt, StoreError
from tests.backends.images import image
from tests.backends.kinds import forget_all, s3_on
from tests.backends.proxy import Fault, FaultProxy, fault_proxy
from tests.backends.steps import JOB, check, held, hold_again, leave_embedded, opened_with, take_in
from tests.kubo import Kubo
from tests.s3 import S3Server
from tests.unit.store.made import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.slow
@pytest.mark.interop
def test_images_move_through_real_stores_and_back(
    tmp_path: Path, clock: Clock, s3_server: S3Server, kubo: Kubo
) -> None:
    forget_all(kubo)
    backends: dict[str, Backend] = {
        "local": local_backend(tmp_path / "images"),
        "s3": s3_on(s3_server.endpoint, secrets.token_hex(4)),
        "kubo": kubo_backend(kubo.api_multiaddr),
    }
    for backend in backends.values():
        backend.store_id("0123456789abcdef")
    images = [image(f"moving {n}", size_bytes=3000 + n * 700_000) for n in range(4)]
    store = opened_with(tmp_path, clock, backends)
    for one in images:
        take_in(store, one, "ipfs")
    at = "ipfs"
    for kind in ("s3", "local", "kubo", "ipfs"):
        for one in images:
            assert hold_again(store, one, kind)
            store.release(one.root, at)
        store.close()
        store = opened_with(tmp_path, clock, backends)
        leave_embedded(store, clock)
        for root, gone in store.kinds.departed(clock.now_ms):
            assert store.kinds.erase(root, gone)
        assert held(store) == {(one.root, kind) for one in images}
        for one in images:
            check(store, one)
        if kind == "kubo":
            pinned = kubo.cli("pin", "ls", "--type=recursive", "-q").decode().split()
            assert sorted(pinned) == sorted(cid_text(one.root) for one in images)
        elif kind != "ipfs":
            name, content = images[0].original
            assert backends[kind].get(images[0].root, name) == content
        at = kind
    assert [list(backend.roots()) for backend in backends.values()] == [[], [], []]
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["s3", pytest.param("kubo", marks=pytest.mark.interop)])
def test_a_store_that_answers_badly_loses_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, kind: str
) -> None:
    one, two = image("one"), image("two", size_bytes=3000)
    with backend_behind_a_proxy(request, kind) as (backend, proxy):
        store = opened_with(tmp_path, clock, {kind: backend})
        take_in(store, one, kind)
        store.collect(clock.now_ms)
        store.put(two.blocks.items(), owner=JOB)
        faults: list[tuple[Fault, type[StoreError]]] = [
            ("500", BackendUnavailable),
            ("403", BackendRefused),
            ("hang up", BackendUnavailable),
        ]
        for fault, expected in faults:
            proxy.fault = fault
            for cid in one.blocks:
                with pytest.raises(expected):
                    store.get(cid)
            assert store.scrub().bad == ()
            with pytest.raises(expected):
                store.hold(two.root, kind=kind, blocks=list(two.blocks), size_bytes=1, frm=JOB)
            assert store.kinds.missing(kind) == []
            proxy.fault = ""
            check(store, one)
        proxy.fault = "wrong bytes"
        with pytest.raises((BlockCorrupt, BackendUnavailable)):  # Kubo's answer to a put is no JSON any more
            store.hold(two.root, kind=kind, blocks=list(two.blocks), size_bytes=1, frm=JOB)
        assert set(store.scrub().bad) == set(one.blocks)
        proxy.fault = ""
        assert held(store) == {(one.root, kind)}
        store.retract([one.root], kind)
        assert store.kinds.adopt(one.root, kind).changed
        store.hold(two.root, kind=kind, blocks=list(two.blocks), size_bytes=1, frm=JOB)
        store.collect(clock.now_ms)
        for each in (one, two):
            check(store, each)
        store.close()


@contextmanager
def backend_behind_a_proxy(request: pytest.FixtureRequest, kind: str) -> Iterator[tuple[Backend, FaultProxy]]:
    server = request.getfixturevalue("s3_server" if kind == "s3" else "kubo")
    port = server.port if kind == "s3" else int(server.api_multiaddr.rpartition("/")[2])
    with fault_proxy(port) as proxy:
        if kind == "s3":
            backend = s3_on(proxy.endpoint, secrets.token_hex(4))
        else:
            forget_all(server)
            backend = kubo_backend(proxy.endpoint)
        backend.store_id("0123456789abcdef")
        yield backend, proxy
