"""Files on their way into the store: written and fsynced under staging/, moved once a commit has listed them.

Each opening of the store stages in a folder named by a random session number, which the catalogue knows. What a crash
leaves in the folder of the session that the catalogue names, and in no intent, was never acknowledged: it goes. Folders
without the one that the catalogue names mean that an old catalogue was put back: see `rebuild`.
"""

import itertools

from store.files import Files, Site

FOLDER = "staging"
SESSION_DIGITS = 16


class Staging:
    """The folder of one session. Thread-safe; every name is used once."""

    def __init__(self, files: Files, home: str, session: int) -> None:
        self._files = files
        self._home = home
        self.folder = f"{FOLDER}/{session_name(session)}"
        self._numbers = itertools.count(1)

    def make(self) -> None:
        """Make the folder, for good. Raises: OSError."""
        self._files.make_folder(f"{self._home}/{self.folder}")
        self._files.fsync_folder(f"{self._home}/{FOLDER}", Site.SESSION)

    def write(self, name: str, content: bytes) -> tuple[str, int]:
        """Write a new file and return its path, relative to the data directory, and its descriptor, still to fsync.

        Raises:
            OSError: nothing is left behind.
        """
        path = f"{self.folder}/{next(self._numbers)}-{name}"
        fd = self._files.create(f"{self._home}/{path}")
        try:
            self._files.write(fd, content, 0)
        except BaseException:
            self._files.close(fd)
            self.discard(path)
            raise
        return path, fd

    def make_durable(self, fd: int, site: Site) -> None:
        """Fsync and close what `write` returned."""
        try:
            self._files.fsync(fd, site)
        finally:
            self._files.close(fd)

    def make_names_durable(self) -> None:
        """Fsync the folder. Raises: OSError."""
        self._files.fsync_folder(f"{self._home}/{self.folder}", Site.STAGED)

    def discard(self, path: str) -> None:
        self._files.discard(f"{self._home}/{path}")


def sessions(files: Files, home: str) -> set[str]:
    """The folders of this and earlier sessions."""
    return {name for name in files.names(f"{home}/{FOLDER}") if len(name) == SESSION_DIGITS}


def session_name(session: int) -> str:
    return f"{session:0{SESSION_DIGITS}x}"


def remove_session(files: Files, home: str, name: str) -> None:
    """Remove the folder of a session that ended, with what it never acknowledged. Raises: OSError."""
    folder = f"{home}/{FOLDER}/{name}"
    for left in files.names(folder):
        files.unlink(f"{folder}/{left}")
    files.remove_folder(folder)


def staged_name(file_name: str) -> str:
    """The name a staged file will have at its place: what follows its number."""
    return file_name.partition("-")[2]
