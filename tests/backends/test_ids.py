"""A store's id as it is read: nobody would hear a peer that announces one that is none."""

from pathlib import Path

import pytest

from store.backends import local_backend
from store.backends.contract import believed_id
from store.errors import BackendUnavailable


def test_an_id_is_a_word() -> None:
    assert believed_id("here", b"0123456789abcdef\n") == "0123456789abcdef"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", bytes(16), b"\xff\xfe", b"x" * 65])
def test_what_is_no_id_is_not_believed(content: bytes) -> None:
    with pytest.raises(BackendUnavailable, match="store id"):
        believed_id("here", content)


def test_a_directory_whose_id_was_lost_with_the_power_is_not_used(tmp_path: Path) -> None:
    backend = local_backend(tmp_path / "archive")
    backend.store_id("0123456789abcdef")
    (tmp_path / "archive" / "STORE_ID").write_bytes(b"")
    with pytest.raises(BackendUnavailable, match="store id"):
        backend.store_id("another")
