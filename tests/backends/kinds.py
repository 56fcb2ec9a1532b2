"""Makes a backend of each kind, empty, for one test."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from store.backends import Backend, Credentials, MemoryBackend, kubo_backend, local_backend, s3_backend
from store.backends.embedded import EmbeddedBackend
from store.store import Store
from tests.kubo import Kubo
from tests.s3 import KEY, SECRET, S3Server

KINDS = (
    "memory",
    "local",
    "ipfs",
    pytest.param("s3", marks=pytest.mark.slow),
    pytest.param("kubo", marks=[pytest.mark.slow, pytest.mark.interop]),
)
BUCKET = "archive"


@dataclass
class Made:
    """An empty backend; `again` opens the same store as another process would."""

    backend: Backend
    again: Callable[[], Backend]


@contextmanager
def make(request: pytest.FixtureRequest) -> Iterator[Made]:
    """The backend of the kind that the running test is parametrised with."""
    kind = request.param
    if kind == "memory":
        memory = MemoryBackend()
        yield Made(memory, lambda: memory)
    elif kind == "local":
        directory: Path = request.getfixturevalue("tmp_path") / "images"
        yield Made(local_backend(directory), lambda: local_backend(directory))
    elif kind == "ipfs":
        store = Store.open(request.getfixturevalue("tmp_path") / "peer")
        yield Made(EmbeddedBackend(store), lambda: EmbeddedBackend(store))
        store.close()
    elif kind == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        prefix = secrets.token_hex(4)
        yield Made(s3_on(server.endpoint, prefix), lambda: s3_on(server.endpoint, prefix))
    else:
        kubo: Kubo = request.getfixturevalue("kubo")
        forget_all(kubo)
        yield Made(kubo_backend(kubo.api_multiaddr), lambda: kubo_backend(kubo.api_multiaddr))


def s3_on(
    endpoint: str, prefix: str, *, key: str = KEY, bucket: str = BUCKET, timeout_s: float | None = None
) -> Backend:
    """A store of its own prefix in the tests' bucket."""
    return s3_backend(
        f"s3://{bucket}/{prefix}", endpoint=endpoint, credentials=Credentials(key, SECRET), timeout_s=timeout_s
    )


def forget_all(kubo: Kubo) -> None:
    """Take away all that a Kubo has been given."""
    for pin in kubo.cli("pin", "ls", "--type=recursive", "-q").decode().split():
        kubo.rpc(f"pin/rm?arg={pin}")
    kubo.rpc("files/rm?arg=/pinakothek&recursive=true&force=true")
    kubo.rpc("repo/gc?silent=true")
