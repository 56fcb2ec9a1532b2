"""List again what the disk has, when the catalogue was lost or an old one put back.

Every block is re-hashed; what does not hash to its name goes to quarantine. Nothing found gets an owner, and nothing
without one is collected until the daemon says that the roots it wants have been held again.
"""

import io
import os
from collections.abc import Iterator
from typing import NamedTuple

import apsw

from store.blocks import FOLDER as BLOCKS
from store.blocks import block_path, key_in, key_of
from store.car import CarReader
from store.cid import verify_block
from store.errors import BadCid, BlockCorrupt, StoreError
from store.files import Files, Site
from store.packs import FOLDER as PACKS
from store.packs import pack_id_of
from store.schema import FILE
from store.staging import FOLDER as STAGING
from store.staging import staged_name

QUARANTINE = "quarantine"


class Found(NamedTuple):
    """A whole block: in a file of its own, or at an offset of a pack."""

    key: bytes
    size_bytes: int
    place: int
    offset_bytes: int


def rebuild_blocks(db: apsw.Connection, files: Files, home: str) -> int:
    """List every whole block under blocks/ and packs/, and no other. Returns: how many files there were.

    Raises:
        OSError: begin again.
    """
    with db:
        db.execute("UPDATE blocks SET place = NULL")
        db.execute("DELETE FROM packs")
    count = 0
    for shard in files.names(f"{home}/{BLOCKS}"):
        found = []
        for name in files.names(f"{home}/{BLOCKS}/{shard}") if len(shard) == 2 else []:
            found += _file_block(files, home, f"{BLOCKS}/{shard}/{name}")
            count += 1
        _insert(db, found)
    for name in files.names(f"{home}/{PACKS}"):
        count += _rebuild_pack(db, files, home, name)
    return count


def _rebuild_pack(db: apsw.Connection, files: Files, home: str, name: str) -> bool:
    """List the whole blocks of one pack that are not here already. Returns: whether it is a pack."""
    pack = pack_id_of(name)
    if pack is None:
        return False
    if db.execute("SELECT 1 FROM packs WHERE id = ?", (pack,)).get:
        pack = db.execute("SELECT max(id) + 1 FROM packs").get
    content = files.read(f"{home}/{PACKS}/{name}")
    _insert(db, list(_pack_blocks(content, pack)))
    db.execute(
        "INSERT INTO packs VALUES (?1, ?2, ?3, (SELECT ifnull(sum(size_bytes), 0) FROM blocks WHERE place = ?1 AND place > 0))",
        (pack, name, len(content)),
    )
    return True


def adopt_staged(files: Files, home: str, session_folder: str) -> None:
    """Move the whole blocks and packs that a session unknown to this catalogue had staged to their places.

    Raises:
        OSError: begin again.
    """
    folder = f"{STAGING}/{session_folder}"
    for name in files.names(f"{home}/{folder}"):
        target = staged_name(name)
        key = key_in(target)
        if pack_id_of(target) is not None:
            place = f"{PACKS}/{target}"
        elif key is not None and _is_whole(key, files.read(f"{home}/{folder}/{name}")):
            place = block_path(key)
            files.make_folder(os.path.dirname(f"{home}/{place}"))
            files.fsync_folder(f"{home}/{BLOCKS}", Site.ADOPTED_SHARD)
            if files.size_bytes(f"{home}/{place}") is not None:
                _file_block(files, home, place)  # a bad one, which this heals, gives way
        else:
            continue
        if files.size_bytes(f"{home}/{place}") is None:
            files.rename(f"{home}/{folder}/{name}", f"{home}/{place}")
            files.fsync_folder(os.path.dirname(f"{home}/{place}"), Site.ADOPTED)


def _file_block(files: Files, home: str, path: str) -> list[Found]:
    """The block of a file, none if it is damaged or not called a block."""
    key = key_in(path)
    if key is None:
        return []
    block = files.read(f"{home}/{path}")
    if _is_whole(key, block):
        return [Found(key, len(block), FILE, 0)]
    files.rename(f"{home}/{path}", f"{home}/{QUARANTINE}/{path.rpartition('/')[2]}")
    return []


def _pack_blocks(content: bytes, pack: int) -> Iterator[Found]:
    try:
        for frame in CarReader(io.BytesIO(content), verify=False):
            if _is_whole(frame.cid, frame.data):
                yield Found(key_of(frame.cid), len(frame.data), pack, frame.offset_bytes)
    except StoreError:
        return  # what follows the damage cannot be found


def _is_whole(key: bytes, block: bytes) -> bool:
    try:
        verify_block(key, block)
    except (BlockCorrupt, BadCid):
        return False
    return True


def _insert(db: apsw.Connection, found: list[Found]) -> None:
    if found:
        with db:
            db.executemany(
                "INSERT INTO blocks(cid, size_bytes, place, offset_bytes) VALUES (?, ?, ?, ?) ON CONFLICT(cid)"
                " DO UPDATE SET place = excluded.place, offset_bytes = excluded.offset_bytes WHERE place IS NULL",
                found,
            )
