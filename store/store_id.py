"""The name of a store, in a file beside its blocks: it stays with them, whatever happens to the catalogue."""

from store.blocks import FOLDER as BLOCKS
from store.files import Files, Site


def store_id_in(files: Files, home: str, otherwise: str) -> str:
    """The id of the store in `home`, which becomes `otherwise` where it has none. Raises: OSError."""
    path = f"{home}/{BLOCKS}/STORE_ID"
    if files.size_bytes(path) is None:
        files.discard(f"{path}.new")
        fd = files.create(f"{path}.new")
        try:
            files.write(fd, f"{otherwise}\n".encode(), 0)
            files.fsync(fd, Site.STORE_ID)
        finally:
            files.close(fd)
        files.rename(f"{path}.new", path)
    files.fsync_folder(f"{home}/{BLOCKS}", Site.STORE_ID_NAME)
    return read_store_id(files, home)


def read_store_id(files: Files, home: str) -> str:
    """What the file says. Raises: OSError."""
    return files.read(f"{home}/{BLOCKS}/STORE_ID").decode("ascii", "replace").strip()
