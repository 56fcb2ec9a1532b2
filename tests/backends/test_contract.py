"""Every backend keeps the contract: see `store.backends.contract`."""

import threading
from collections.abc import Iterator

import pytest

from store.backends import UPLOADS, Backend, Entry, Range
from store.cid import RAW, cid_of, cid_text
from store.errors import BackendRefused, NotInBackend
from tests.backends.images import Image, image, put_image
from tests.backends.kinds import KINDS, Made, make


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest) -> Iterator[Made]:
    with make(request) as found:
        yield found


@pytest.fixture
def backend(made: Made) -> Backend:
    made.backend.store_id("0123456789abcdef")
    return made.backend


def everything(backend: Backend, an_image: Image) -> dict[str, bytes]:
    return {name: backend.get(an_image.root, name) for name in (*an_image.files, *an_image.nodes)}


def test_the_store_id_is_written_once(made: Made) -> None:
    if made.backend.kind == "ipfs":  # it has one since it was made
        assert made.backend.store_id() == made.backend.store_id("another")
        return
    with pytest.raises(NotInBackend):
        made.backend.store_id()
    first = made.backend.store_id("first")
    assert first == "first"
    assert made.again().store_id("second") == "first"
    assert made.again().store_id() == "first"


def test_of_many_that_claim_a_store_one_wins(made: Made) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(made.again().store_id(f"claim{n}")), daemon=True)
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 6
    assert set(found) == {made.backend.store_id()}


def test_an_image_comes_back_byte_for_byte(backend: Backend) -> None:
    one = image("one")
    put_image(backend, one)
    assert everything(backend, one) == one.files | one.nodes


def test_parts_of_a_file(backend: Backend) -> None:
    one = image("one")
    put_image(backend, one)
    name, content = one.original
    assert backend.get(one.root, name, Range(1 << 20, 1000)) == content[1 << 20 : (1 << 20) + 1000]
    assert backend.get(one.root, name, Range(1000, 1 << 20)) == content[1000 : (1 << 20) + 1000]
    assert backend.get(one.root, name, Range(len(content) - 10, 100)) == content[-10:]
    assert backend.get(one.root, name, Range(0, 0)) == b""


def test_the_size_of_what_is_there(backend: Backend) -> None:
    one = image("one")
    put_image(backend, one)
    name, content = one.original
    assert backend.stat(one.root, name) == Entry(name, len(content))
    root_name = cid_text(one.root)
    assert backend.stat(one.root, root_name) == Entry(root_name, len(one.nodes[root_name]))


def test_what_is_not_there_is_not_found(backend: Backend) -> None:
    one, absent = image("one"), cid_text(cid_of(RAW, b"absent"))
    put_image(backend, one)
    for name in ("medium.webp", absent):
        with pytest.raises(NotInBackend):
            backend.get(one.root, name)
        with pytest.raises(NotInBackend):
            backend.stat(one.root, name)
        backend.delete(one.root, name)
    with pytest.raises(NotInBackend):
        backend.get(image("two").root, "image.json")
    assert list(backend.list(image("two").root)) == []


def test_putting_again_changes_nothing(backend: Backend) -> None:
    one = image("one")
    for _ in range(2):
        put_image(backend, one)
    assert everything(backend, one) == one.files | one.nodes
    assert set(backend.roots()) == {one.root}


def test_a_stream_comes_in_pieces_of_any_length(backend: Backend) -> None:
    one = image("one")
    name, content = one.original
    pieces = [content[:1], b"", content[1:70_000], content[70_000:]]
    assert backend.put(one.root, name, iter(pieces)) == len(content)
    put_image(backend, one, without=name)
    assert backend.get(one.root, name) == content


def test_a_stream_that_breaks_off_leaves_nothing_to_be_read(backend: Backend) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(1000)
        raise RuntimeError("the sender is gone")

    one = image("one")
    with pytest.raises(RuntimeError, match="gone"):
        backend.put(one.root, "original.jpg", broken())
    with pytest.raises(NotInBackend):
        backend.get(one.root, "original.jpg")


def test_lists_name_what_a_root_has(backend: Backend) -> None:
    one, two = image("one"), image("two")
    for each in (one, two):
        put_image(backend, each)
    assert set(backend.roots()) == {one.root, two.root}
    names = {entry.name: entry.size_bytes for entry in backend.list(one.root)}
    if backend.whole_files:
        assert names == {name: len(content) for name, content in (one.files | one.nodes).items()}
    else:
        assert names == {cid_text(cid): len(block) for cid, block in one.blocks.items()}


def test_deleting_one_image_leaves_the_other(backend: Backend) -> None:
    one, two = image("one"), image("two")
    for each in (one, two):
        put_image(backend, each)
    for _ in range(2):
        backend.delete(one.root, cid_text(one.root))
        for entry in list(backend.list(one.root)):
            backend.delete(one.root, entry.name)
    assert set(backend.roots()) == {two.root}
    assert list(backend.list(one.root)) == []
    assert everything(backend, two) == two.files | two.nodes


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../other", "a/b", "/etc/passwd", ".hidden", "a\0b", "x" * 300, "a\nb"]
)
def test_no_name_leads_out_of_its_root(backend: Backend, name: str) -> None:
    root = image("one").root
    with pytest.raises((BackendRefused, NotInBackend)):
        backend.get(root, name)
    with pytest.raises(BackendRefused):
        backend.put(root, name, [b"content"])


def test_an_upload_is_staged_read_and_copied(backend: Backend) -> None:
    one = image("one")
    name, content = one.original
    backend.put(UPLOADS, "upload1", [content])
    assert backend.stat(UPLOADS, "upload1").size_bytes == len(content)
    assert backend.get(UPLOADS, "upload1", Range(5, 10)) == content[5:15]
    assert [entry.name for entry in backend.list(UPLOADS)] == ["upload1"]
    assert backend.copy_from(one.root, name, "upload1") == len(content)
    put_image(backend, one, without=name)
    backend.delete(UPLOADS, "upload1")
    assert backend.get(one.root, name) == content
    assert list(backend.list(UPLOADS)) == []
    assert set(backend.roots()) == {one.root}
    with pytest.raises(NotInBackend):
        backend.get(UPLOADS, "upload1")
    with pytest.raises(NotInBackend):
        backend.copy_from(one.root, name, "upload1")


def test_health_of_what_works(backend: Backend) -> None:
    free_bytes = backend.health().free_bytes
    assert free_bytes is None or free_bytes > 0


def test_many_threads_at_once(backend: Backend) -> None:
    images = [image(f"thread {n}", size_bytes=2000) for n in range(8)]
    failed: list[Exception] = []

    def work(mine: Image) -> None:
        try:
            put_image(backend, mine)
            assert everything(backend, mine) == mine.files | mine.nodes
        except Exception as error:  # noqa: BLE001 - reported below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(each,), daemon=True) for each in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert failed == []
    assert set(backend.roots()) == {each.root for each in images}
