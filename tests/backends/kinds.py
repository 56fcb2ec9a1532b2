"""Makes a backend of each kind, empty, for one test."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from store.backends import Backend, MemoryBackend, local_backend

KINDS = ("memory", "local")


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
