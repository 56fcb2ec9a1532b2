"""A real Kubo and a real S3 server that answer badly, or not, or are no longer the ones they were: nothing is lost."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from store.backends import UPLOADS, Backend, Range, RetryPolicy, guarded, kubo_backend, local_backend
from store.cid import cid_text
from store.errors import BackendRefused, BackendUnavailable, BlockCorrupt, StoreError
from tests.backends.images import Image, image, put_image
from tests.backends.kinds import forget_all, s3_on
from tests.backends.proxy import Fault, FaultProxy, fault_proxy
from tests.kubo import Kubo
from tests.s3 import LESSER_KEY, S3Server

pytestmark = pytest.mark.slow
TIMEOUT_S = 1.0


@dataclass
class Faulty:
    """A backend behind a proxy, with an image in it that was put while all was well; `hasty` waits a second only."""

    backend: Backend
    hasty: Backend
    proxy: FaultProxy
    image: Image

    def check_nothing_is_lost(self) -> None:
        self.proxy.fault, self.proxy.left = "", None
        for name, content in (self.image.files | self.image.nodes).items():
            assert self.backend.get(self.image.root, name) == content


@pytest.fixture(params=["s3", pytest.param("kubo", marks=pytest.mark.interop)])
def faulty(request: pytest.FixtureRequest) -> Iterator[Faulty]:
    server = request.getfixturevalue("s3_server" if request.param == "s3" else "kubo")
    port = server.port if request.param == "s3" else int(server.api_multiaddr.rpartition("/")[2])
    if request.param == "kubo":
        forget_all(server)
    with fault_proxy(port) as proxy:
        if request.param == "s3":
            backend = s3_on(proxy.endpoint, secrets.token_hex(4), timeout_s=TIMEOUT_S * 20)
            hasty = s3_on(proxy.endpoint, "", timeout_s=TIMEOUT_S)
        else:
            backend = kubo_backend(proxy.endpoint, timeout_s=TIMEOUT_S * 20)
            hasty = kubo_backend(proxy.endpoint, timeout_s=TIMEOUT_S)
        backend.store_id("0123456789abcdef")
        one = image("faulty", size_bytes=200_000)
        put_image(backend, one)
        found = Faulty(backend, hasty, proxy, one)
        yield found
        found.check_nothing_is_lost()


def calls(backend: Backend, one: Image) -> dict[str, Callable[[], object]]:
    root_name = cid_text(one.root)
    another = image("another", size_bytes=3000)
    return {
        "get": lambda: backend.get(one.root, "original.jpg"),
        "get part": lambda: backend.get(one.root, root_name, Range(0, 10)),
        "stat": lambda: backend.stat(one.root, root_name),
        "put": lambda: backend.put(another.root, "small.webp", [another.files["small.webp"]]),
        "put root": lambda: backend.put(one.root, root_name, [one.nodes[root_name]]),
        "upload": lambda: backend.put(UPLOADS, "upload1", [b"content"]),
        "copy": lambda: backend.copy_from(another.root, "small.webp", "upload1"),
        "delete": lambda: backend.delete(one.root, root_name),
        "list": lambda: list(backend.list(one.root)),
        "roots": lambda: list(backend.roots()),
        "health": backend.health,
        "store id": lambda: backend.store_id("another"),
    }


def outcome(call: Callable[[], object]) -> StoreError | None:
    try:
        call()
    except StoreError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("500", BackendUnavailable),
        ("503", BackendUnavailable),
        ("403", BackendRefused),
        ("hang up", BackendUnavailable),
        ("cut short", StoreError),
    ],
)
def test_every_call_ends_in_the_error_of_the_contract(faulty: Faulty, fault: Fault, expected: type[StoreError]) -> None:
    for name, call in calls(faulty.backend, faulty.image).items():
        faulty.proxy.fault = fault
        error = outcome(call)
        assert isinstance(error, expected) or (error is None and fault == "cut short"), f"{name}: {error!r}"
        assert "\n" not in str(error)
        faulty.proxy.fault = ""
        if name == "delete":
            put_image(faulty.backend, faulty.image)


def test_silence_ends_at_the_time_limit(faulty: Faulty) -> None:
    faulty.proxy.fault = "silence"
    for call in ("get", "put", "health"):
        with pytest.raises(BackendUnavailable, match="in time"):
            calls(faulty.hasty, faulty.image)[call]()


def test_wrong_bytes_of_a_block_are_never_believed(faulty: Faulty) -> None:
    faulty.proxy.fault = "wrong bytes"
    with pytest.raises(BlockCorrupt):
        faulty.backend.get(faulty.image.root, cid_text(faulty.image.root))


def test_what_fails_twice_is_tried_a_third_time(faulty: Faulty) -> None:
    patient = guarded(faulty.backend, RetryPolicy(attempts=3, first_pause_s=0.01))
    for fault in ("500", "hang up"):
        faulty.proxy.fault, faulty.proxy.left = fault, 2
        assert patient.get(faulty.image.root, "original.jpg") == faulty.image.files["original.jpg"]
        faulty.proxy.fault, faulty.proxy.left = fault, 2
        put_image(patient, faulty.image)
    faulty.proxy.fault, faulty.proxy.left = "500", 3
    with pytest.raises(BackendUnavailable):
        patient.stat(faulty.image.root, "original.jpg")


def test_a_bucket_that_vanished_says_nothing_of_its_objects(s3_server: S3Server) -> None:
    s3_server.make_bucket("vanishing")
    backend = s3_on(s3_server.endpoint, "here", bucket="vanishing")
    backend.store_id("0123456789abcdef")
    one = image("vanishing", size_bytes=3000)
    put_image(backend, one)
    s3_server.drop_bucket("vanishing")
    for name, call in calls(backend, one).items():
        with pytest.raises(BackendUnavailable):
            pytest.fail(f"{name}: {call()!r}")
    s3_server.make_bucket("vanishing")
    for name in ("get", "stat", "health"):
        with pytest.raises(BackendUnavailable, match="STORE_ID"):
            calls(backend, one)[name]()


@pytest.mark.interop
def test_a_kubo_with_another_repository_says_nothing_of_our_blocks(kubo: Kubo) -> None:
    backend = kubo_backend(kubo.api_multiaddr)
    forget_all(kubo)
    backend.store_id("0123456789abcdef")
    one = image("vanishing", size_bytes=3000)
    put_image(backend, one)
    forget_all(kubo)
    for name in ("get", "stat", "health"):
        with pytest.raises(BackendUnavailable, match="store_id"):
            calls(backend, one)[name]()


def test_a_directory_that_was_unmounted_says_nothing_of_its_objects(tmp_path: Path) -> None:
    backend = local_backend(tmp_path / "mount")
    backend.store_id("0123456789abcdef")
    one = image("vanishing", size_bytes=3000)
    put_image(backend, one)
    (tmp_path / "mount").rename(tmp_path / "elsewhere")
    (tmp_path / "mount").mkdir()
    for name in ("get", "stat", "put", "delete", "list", "roots", "health"):
        with pytest.raises(BackendUnavailable, match="STORE_ID"):
            calls(backend, one)[name]()


def test_a_key_that_may_only_read_is_refused(s3_server: S3Server) -> None:
    prefix = secrets.token_hex(4)
    owner, reader = s3_on(s3_server.endpoint, prefix), s3_on(s3_server.endpoint, prefix, key=LESSER_KEY)
    owner.store_id("0123456789abcdef")
    one = image("faulty", size_bytes=200_000)
    put_image(owner, one)
    assert reader.get(one.root, "original.jpg") == one.files["original.jpg"]
    with pytest.raises(BackendRefused, match="403"):
        reader.put(one.root, "original.jpg", [b"content"])
    with pytest.raises(BackendRefused, match="AccessDenied"):
        reader.delete(one.root, "original.jpg")
    with pytest.raises(BackendRefused, match="403"):
        s3_on(s3_server.endpoint, prefix, key="nobody").health()


def test_a_presigned_upload_has_the_size_and_type_it_was_signed_for(s3_server: S3Server) -> None:
    backend = s3_on(s3_server.endpoint, secrets.token_hex(4))
    backend.store_id("0123456789abcdef")
    put = backend.presign_put("upload1", 7, "image/jpeg")
    assert put is not None
    headers = {name: value for name, value in put.headers.items() if name != "content-length"}
    for content, media_type in ((b"content!", "image/jpeg"), (b"", "image/jpeg"), (b"content", "image/png")):
        refused = httpx.put(put.url, content=content, headers=headers | {"content-type": media_type})
        assert refused.status_code == 403
    assert httpx.put(put.url.replace("upload1", "upload2"), content=b"content", headers=headers).status_code == 403
    assert list(backend.list(UPLOADS)) == []
    httpx.put(put.url, content=b"content", headers=headers).raise_for_status()
    assert backend.get(UPLOADS, "upload1") == b"content"
    url = backend.presign_get(UPLOADS, "upload1", 60)
    assert url is not None
    assert httpx.get(url).content == b"content"
    assert httpx.get(url.replace("upload1", "upload2")).status_code == 403


def test_a_large_object_goes_up_in_parts(s3_server: S3Server) -> None:
    backend = s3_on(s3_server.endpoint, secrets.token_hex(4))
    backend.store_id("0123456789abcdef")
    one = image("one")
    pieces = [bytes([n]) * (1 << 20) for n in range(40)]
    assert backend.put(one.root, "original.tiff", iter(pieces)) == 40 << 20
    assert backend.stat(one.root, "original.tiff").size_bytes == 40 << 20
    assert backend.get(one.root, "original.tiff", Range(38 << 20, 4 << 20)) == b"".join(pieces[38:])


@pytest.mark.interop
def test_letting_go_leaves_a_pin_that_was_there_before(kubo: Kubo) -> None:
    forget_all(kubo)
    backend = kubo_backend(kubo.api_multiaddr)
    backend.store_id("0123456789abcdef")
    ours, theirs = image("ours", size_bytes=3000), image("theirs", size_bytes=3000)
    put_image(backend, theirs)
    forget_all(kubo)
    backend.store_id("0123456789abcdef")
    for name, content in (theirs.files | theirs.nodes).items():
        if name != cid_text(theirs.root):
            backend.put(theirs.root, name, [content])
    kubo.cli("block", "put", "--cid-codec=dag-pb", stdin=theirs.nodes[cid_text(theirs.root)])
    kubo.cli("pin", "add", cid_text(theirs.root))
    for each in (ours, theirs):
        put_image(backend, each)
        put_image(backend, each)
    pinned = {cid_text(ours.root), cid_text(theirs.root)}
    assert set(kubo.cli("pin", "ls", "--type=recursive", "-q").decode().split()) == pinned
    for each in (ours, theirs):
        backend.delete(each.root, cid_text(each.root))
    kubo.rpc("repo/gc?silent=true")
    assert kubo.cli("pin", "ls", "--type=recursive", "-q").decode().split() == [cid_text(theirs.root)]
    assert kubo.cli("cat", f"{cid_text(theirs.root)}/image.json") == theirs.files["image.json"]
    assert cid_text(ours.root) not in kubo.cli("refs", "local").decode().split()
    assert list(backend.roots()) == []
