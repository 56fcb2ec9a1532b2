"""A store's id as it is read: nobody would hear a peer that announces one that is none."""

import errno
from pathlib import Path

import pytest

from store.backends import local_backend
from store.backends.contract import believed_id
from store.errors import BackendUnavailable
from store.files import Files, ObjectSite, Site


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


def test_a_directory_below_one_that_can_never_be_fsynced_is_used(tmp_path: Path) -> None:
    """Such as an automounter's, or the root of a read-only image: whoever mounts there looks after the name."""

    class Automounted(Files):
        def fsync_folder(self, path: str, site: Site | ObjectSite) -> None:
            if path == str(tmp_path):
                raise OSError(errno.EINVAL, "Invalid argument")
            super().fsync_folder(path, site)

    with pytest.raises(BackendUnavailable, match="invalid argument"):
        local_backend(tmp_path / "new", files=Automounted()).store_id("0123456789abcdef")
    (tmp_path / "mounted").mkdir()
    backend = local_backend(tmp_path / "mounted", files=Automounted())
    assert backend.store_id("0123456789abcdef") == "0123456789abcdef"
