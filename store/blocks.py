"""Where a block lies: the names of block files, and reading from a file or a pack.

A block is known by its version 1 CID: version 0 and version 1 of a dag-pb node are the same bytes, kept once.
Larger ones lie in files as Kubo's flatfs has them, `blocks/<two characters before the last>/<cid>.data`.
"""

import base64
import binascii
from typing import NamedTuple

from store.catalogue import Readers
from store.errors import BlockNotFound
from store.files import Files, disk_error
from store.packs import FOLDER as PACKS
from store.schema import FILE

FOLDER = "blocks"
SUFFIX = ".data"


class Place(NamedTuple):
    """Where one block lies.

    Attributes:
        row: its id in the catalogue.
        place: as in the catalogue; None while its bytes are lost.
        pack: the name of its pack if it is in one.
        staged: where its file is, if it has not been moved to its place yet.
    """

    row: int
    size_bytes: int
    place: int | None
    offset_bytes: int
    pack: str | None
    staged: str | None


def key_of(cid: bytes) -> bytes:
    """The CID in version 1."""
    return b"\x01\x70" + cid if len(cid) == 34 and cid.startswith(b"\x12\x20") else cid


def file_name(key: bytes) -> str:
    return "b" + base64.b32encode(key).decode("ascii").rstrip("=").lower() + SUFFIX


def block_path(key: bytes) -> str:
    """Path of the block's file, relative to the data directory."""
    name = file_name(key)
    return f"{FOLDER}/{name[-8:-6]}/{name}"


def key_in(path: str) -> bytes | None:
    """The CID in a block file's name or path, None if that is no block's."""
    text = path.rpartition("/")[2]
    if not text.endswith(SUFFIX) or not text.startswith("b"):
        return None
    encoded = text[1 : -len(SUFFIX)].upper()
    try:
        key = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
    except binascii.Error:
        return None
    return key if file_name(key) == text else None


def find(readers: Readers, key: bytes) -> Place | None:
    """Look a block up in the catalogue, as last committed."""
    row = readers.row(
        "SELECT b.id, b.size_bytes, b.place, b.offset_bytes, p.name,"
        " (SELECT i.source FROM intents i WHERE i.target = ifnull('packs/' || p.name, ?2) AND i.act = 'move'"
        " ORDER BY i.id DESC LIMIT 1) FROM blocks b LEFT JOIN packs p ON p.id = b.place WHERE b.cid = ?1",
        (key, block_path(key)),
    )
    return None if row is None else Place(*row)


def read_block(files: Files, home: str, readers: Readers, key: bytes) -> bytes:
    """Return a block's bytes as the disk has them, unverified and perhaps cut short.

    A staged file is read before the one at its place, which may be the bad one that it replaces.

    Raises:
        BlockNotFound: not listed, or its bytes are lost.
        DiskFailed: the disk cannot read them.
    """
    for _ in range(2):  # once more, if it was moved or compacted away between look-up and reading
        place = find(readers, key)
        if place is None or place.place is None:
            raise BlockNotFound(key)
        path = block_path(key) if place.place == FILE else f"{PACKS}/{place.pack}"
        length_bytes = -1 if place.place == FILE else place.size_bytes
        for candidate in (place.staged, path):
            try:
                if candidate is not None:
                    return files.read(f"{home}/{candidate}", place.offset_bytes, length_bytes)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise disk_error(files, f"{home}/{candidate}", error) from error
    raise BlockNotFound(key)
