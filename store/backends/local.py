"""A directory as a backend: `images/<two characters before the last>/<root>/<name>`, readable by anybody with `ls`.

An object is written beside its place under a name of its own, fsynced, renamed, and its folder fsynced. What a crash
leaves of that is an object under its root like any other, and goes with it.
"""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from store.backends.contract import (
    UPLOADS,
    Entry,
    Health,
    PresignedPut,
    Range,
    Stream,
    believed,
    believed_id,
    checked_name,
    pieces_of,
)
from store.cid import cid_text, parse_cid
from store.errors import BackendRefused, BackendUnavailable, BadCid, NotInBackend, StoreFull
from store.files import Files, ObjectSite, disk_error

IMAGES = "images"
STAGED = "uploads"
ID_NAME = "STORE_ID"
LASTING = 10_000
"""Folders that are known to be there to stay, so that they need no fsync at each object."""
PART = "~"
"""In the name of what is still being written; no file of an image and no CID has one."""


class LocalBackend:
    """See `contract.Backend` for what each method promises."""

    kind = "local"
    whole_files = True

    def __init__(self, directory: Path, files: Files) -> None:
        self._directory = str(directory)
        self._files = files
        self._lasting: set[str] = set()
        self.place = f"directory {directory}"

    def store_id(self, otherwise: str | None = None) -> str:
        with self._errors(ID_NAME):
            if otherwise is not None:
                self._claim(otherwise)
            found = self._files.read(f"{self._directory}/{ID_NAME}")
        return believed_id(self.place, found)

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        self._check_present()
        path = self._path(root, name)
        folder = os.path.dirname(path)
        part = f"{path}{PART}{secrets.token_hex(4)}"
        with self._refusals():
            try:
                self._make_folders(folder)
                size_bytes = self._write(part, stream)
                self._files.rename(part, path)
                self._files.fsync_folder(folder, ObjectSite.NAMED)
            except FileNotFoundError as error:
                raise BackendUnavailable(self.place, f"{name}: its folder went away while it was written") from error
            finally:
                self._files.discard(part)
        return size_bytes

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        with self._errors(name):
            content = self._files.read(self._path(root, name), *(part or (0, -1)))
        return believed(name, content, part)

    def stat(self, root: bytes, name: str) -> Entry:
        with self._errors(name):
            return Entry(name, os.stat(self._path(root, name)).st_size)

    def delete(self, root: bytes, name: str) -> None:
        self._check_present()
        path = self._path(root, name)
        with self._errors(name), suppress(FileNotFoundError):
            self._files.unlink(path)
            self._files.fsync_folder(os.path.dirname(path), ObjectSite.GONE)
        if root != UPLOADS:
            with suppress(OSError):  # there is more in it
                self._files.remove_folder(os.path.dirname(path))

    def copy_from(self, root: bytes, name: str, upload_id: str) -> int:
        with self._errors(upload_id), open(self._path(UPLOADS, upload_id), "rb") as staged:
            return self.put(root, name, iter(lambda: staged.read(1 << 20), b""))

    def list(self, root: bytes) -> Iterator[Entry]:
        self._check_present()
        folder = self._folder(root)
        for name in self._names(folder):
            with suppress(FileNotFoundError), self._refusals():
                yield Entry(name, os.stat(f"{folder}/{name}").st_size)

    def roots(self) -> Iterator[bytes]:
        self._check_present()
        above = f"{self._directory}/{IMAGES}"
        for shard in self._names(above):
            for text in self._names(f"{above}/{shard}"):
                with suppress(BadCid):  # not ours
                    root = parse_cid(text)
                    if self._names(self._folder(root)):  # a power loss brings empty folders back
                        yield root

    def presign_put(self, upload_id: str, size_bytes: int, media_type: str) -> PresignedPut | None:
        return None

    def presign_get(self, root: bytes, name: str, expires_s: int) -> str | None:
        return None

    def health(self) -> Health:
        self._check_present()
        with self._errors(ID_NAME):
            if not os.access(self._directory, os.W_OK | os.X_OK):
                raise BackendRefused(self.place, "not writable for this user")
            return Health(self._files.free_bytes(self._directory))

    def _claim(self, store_id: str) -> None:
        """Write the id where there is none."""
        self._make_folders(self._directory)
        if self._files.size_bytes(f"{self._directory}/{ID_NAME}") is not None:
            return
        part = f"{self._directory}/{ID_NAME}{PART}{secrets.token_hex(4)}"
        try:
            self._write(part, [f"{store_id}\n".encode()])
            with suppress(FileExistsError):
                self._files.rename_new(part, f"{self._directory}/{ID_NAME}")
        finally:
            self._files.discard(part)
        self._files.fsync_folder(self._directory, ObjectSite.ID)

    def _write(self, path: str, stream: Stream) -> int:
        fd = self._files.create(path)
        try:
            size_bytes = 0
            for piece in pieces_of(stream):
                self._files.write(fd, piece, size_bytes)
                size_bytes += len(piece)
            self._files.fsync(fd, ObjectSite.OBJECT)
        finally:
            self._files.close(fd)
        return size_bytes

    def _make_folders(self, folder: str) -> None:
        """Make a folder and those above it, each there to stay before anything is put into it.

        Also one that is there already: whoever made it may have been killed before that.
        """
        there = os.path.isdir(folder)
        if there and (folder in self._lasting or not folder.startswith(self._directory)):
            return
        above = os.path.dirname(folder)
        self._make_folders(above)
        if not there:
            self._files.make_folder(folder)
        # Where a directory that is there lies is not ours to look after: we may not list it, or nothing is ever fsynced there.
        is_theirs = there and not above.startswith(self._directory)
        with suppress(OSError if is_theirs else PermissionError):
            self._files.fsync_folder(above, ObjectSite.FOLDER)
        if len(self._lasting) >= LASTING:
            self._lasting.clear()
        self._lasting.add(folder)

    def _folder(self, root: bytes) -> str:
        if root == UPLOADS:
            return f"{self._directory}/{STAGED}"
        text = cid_text(root)
        return f"{self._directory}/{IMAGES}/{text[-3:-1]}/{text}"

    def _path(self, root: bytes, name: str) -> str:
        return f"{self._folder(root)}/{checked_name(self.place, name)}"

    def _names(self, folder: str) -> Sequence[str]:
        with self._refusals():
            return self._files.names(folder)

    def _check_present(self) -> None:
        """A directory without the id is an empty mount point or another directory, and not our store."""
        with self._refusals():
            there = self._files.size_bytes(f"{self._directory}/{ID_NAME}") is not None
        if not there:
            raise BackendUnavailable(self.place, f"has no {ID_NAME}", "see whether the disk is mounted")

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except PermissionError as error:
            raise BackendRefused(self.place, str(error.strerror).lower()) from error
        except OSError as error:
            failed = disk_error(self._files, self._directory, error)
            if isinstance(failed, StoreFull):
                raise failed from error
            raise BackendUnavailable(self.place, (error.strerror or str(error)).lower()) from error

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """As `_refusals`; a file that is not there is `NotInBackend` where the store itself is."""
        try:
            with self._refusals():
                yield
        except FileNotFoundError as error:
            if name != ID_NAME:
                self._check_present()
            raise NotInBackend(self.place, name) from error


def local_backend(directory: Path, *, files: Files | None = None) -> LocalBackend:
    """The backend `local` in `directory`, which is made on first use."""
    return LocalBackend(directory, files or Files())
