"""The same questions to Kubo's gateway, over the same DAG, which Kubo takes from an archive that ours made."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from store.cid import cid_text
from tests.gateway.conftest import Album
from tests.gateway.rig import at
from tests.kubo import Kubo

pytestmark = [pytest.mark.interop, pytest.mark.slow]

COMPARED = (
    "etag", "content-type", "content-length", "content-range", "cache-control", "x-ipfs-path", "x-ipfs-roots",
    "location", "x-content-type-options", "access-control-allow-origin",
)  # fmt: skip


@pytest.fixture(scope="module")
def kubo(album: Album, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home: Path = tmp_path_factory.mktemp("kubo")
    with Kubo(home / "kubo") as kubo:
        for number, root in enumerate((album.folder, album.site)):
            archive = home / f"{number}.car"
            archive.write_bytes(album.gateway.get(at(root) + "?format=car").content)
            assert cid_text(root) in kubo.cli("dag", "import", str(archive)).decode()
        with httpx.Client(base_url=kubo.gateway, timeout=60, trust_env=False) as client:
            yield client


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("names", "headers"),
    [
        (("medium.webp",), {}),
        (("original.jpg",), {}),
        (("deep", "medium.webp"), {}),
        (("empty",), {}),
        (("medium.webp",), {"range": "bytes=10-19"}),
        (("original.jpg",), {"range": "bytes=-100000"}),
        (("original.jpg",), {"range": "bytes=1048570-1048585"}),
        (("medium.webp",), {"if-none-match": "*"}),
        (("medium.webp",), {"if-none-match": '"x", W/"{thumb}"'}),
        (("medium.webp",), {"if-none-match": '"{thumb}.raw"'}),
    ],
)
def test_files(album: Album, kubo: httpx.Client, names: tuple[str, ...], headers: dict[str, str], method: str) -> None:
    sent = {name: value.format(thumb=cid_text(album.thumb)) for name, value in headers.items()}
    ours = album.gateway.client.request(method, at(album.folder, *names), headers=sent)
    theirs = kubo.request(method, at(album.folder, *names), headers=sent)
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
    said = [name for name in COMPARED if name in theirs.headers]
    if names == ("empty",) and "content-type" in said:
        said.remove("content-type")  # Kubo guesses text/plain of nothing
    assert {name: ours.headers.get(name) for name in said} == {name: theirs.headers[name] for name in said}


@pytest.mark.parametrize(
    "query", ["format=raw", "format=car", "format=car&dag-scope=entity", "format=car&dag-scope=block"]
)
@pytest.mark.parametrize("names", [(), ("deep", "medium.webp"), ("original.jpg",)])
def test_forms(album: Album, kubo: httpx.Client, names: tuple[str, ...], query: str) -> None:
    path = f"{at(album.folder, *names)}?{query}"
    ours, theirs = album.gateway.get(path), kubo.get(path)
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
    for name in ("content-type", "cache-control", "x-ipfs-path", "x-ipfs-roots"):
        assert ours.headers[name] == theirs.headers[name]
    if "raw" in query:
        assert ours.headers["etag"] == theirs.headers["etag"]


@pytest.mark.parametrize(
    "path",
    ["/ipfs/nonsense", "/ipfs/", "{folder}/absent", "{folder}/medium.webp/below", "{folder}", "{folder}/", "{site}/"],
)
def test_statuses(album: Album, kubo: httpx.Client, path: str) -> None:
    asked = path.format(folder=at(album.folder), site=at(album.site))
    assert album.gateway.get(asked).status_code == kubo.get(asked).status_code


def test_an_index(album: Album, kubo: httpx.Client) -> None:
    ours, theirs = album.gateway.get(at(album.site) + "/"), kubo.get(at(album.site) + "/")
    assert ours.content == theirs.content
    for name in ("etag", "x-ipfs-path", "x-ipfs-roots", "cache-control"):
        assert ours.headers[name] == theirs.headers[name]
