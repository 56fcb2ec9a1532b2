"""A panic of the Rust code below the backend `s3`: a backend in trouble never takes the daemon down."""

from types import SimpleNamespace

import pytest

from store.backends.s3 import S3Backend
from store.backends.sigv4 import Credentials
from store.errors import BackendUnavailable

obstore = pytest.importorskip("obstore")


class PanicException(BaseException):
    """What pyo3 raises; its own cannot be made from Python."""


def test_a_panic_is_trouble_like_any_other() -> None:
    def panic(*_: object) -> None:
        raise PanicException("index out of bounds")

    broken = SimpleNamespace(get=panic, exceptions=obstore.exceptions)
    backend = S3Backend(
        broken, None, place="s3 bucket b", base_url="http://b", credentials=Credentials("k", "s", None), region="r"
    )
    with pytest.raises(BackendUnavailable, match="s3 bucket b: obstore panicked: index out of bounds"):
        backend.health()
