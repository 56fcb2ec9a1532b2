from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from store.cid import DAG_CBOR, DAG_PB
from store.dag_pb import PBLink, encode_node
from store.unixfs_node import DIRECTORY_MESSAGE
from tests.gateway.rig import Dags, Running, noise, running_gateway

THUMB_BYTES = 20_000
BIG_BYTES = 3_500_000


@dataclass
class Album:
    """The DAG that most tests ask for, and the gateway that serves it. No daemon is behind it."""

    gateway: Running
    dags: Dags
    thumb: bytes
    thumb_content: bytes
    big: bytes
    big_content: bytes
    folder: bytes
    site: bytes
    odd: bytes
    cbor: bytes


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Album]:
    home: Path = tmp_path_factory.mktemp("album")
    dags = Dags()
    thumb_content, big_content = noise(THUMB_BYTES), noise(BIG_BYTES, 2)
    thumb, big = dags.file(thumb_content), dags.file(big_content)
    deep = dags.folder({"medium.webp": thumb})
    folder = dags.folder(
        {
            "medium.webp": thumb,
            "original.jpg": big,
            "deep": deep,
            "empty": dags.file(b""),
            "notes": dags.file(b"plain words\n"),
            "page.html": dags.file(b"<script>alert(1)</script>"),
            "drawing.svg": dags.file(b"<svg/>"),
            "ünï 100%?#&<b>.png": dags.file(b"odd name"),
        }
    )
    site = dags.folder({"index.html": dags.file(b"<h1>index</h1>")})
    odd = dags.block(
        DAG_PB, encode_node([PBLink(dags.file(b"dots"), name, 4) for name in (b"..", b"\xff")], DIRECTORY_MESSAGE)
    )
    cbor = dags.block(DAG_CBOR, b"\xa1\x61a\x01")
    dags.store(home)
    with running_gateway(home) as gateway:
        yield Album(gateway, dags, thumb, thumb_content, big, big_content, folder, site, odd, cbor)
