"""The files of a root: what `show` lists, and which of them a variant's name stands for."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice

from node.errors import NotFound, Usage
from node.gateway.media import OCTETS, type_by_name
from node.rows import FileRow
from protocol.pin import Pin
from store.cid import RAW, cid_text, codec_of
from store.errors import DagUnsupported, StoreError
from store.store import Store
from store.unixfs import DirEntry, list_directory, stat

SHOWN_FILES = 1000
"""Of a pinned directory: an image's has a dozen. Guess."""
ORIGINAL = "original"
STILLS = ("display", "large", "medium", "small", "preview")


def file_rows(store: Store, pin: Pin) -> tuple[FileRow, ...]:
    """The files of a root that is here complete (in a thread); a DAG that is no UnixFS has none."""
    try:
        about = stat(pin.root, store.get)
        if about.is_file:
            return (FileRow(name=pin.name or ORIGINAL, cid=cid_text(pin.root), size_bytes=about.size_bytes),)
        entries = islice(list_directory(pin.root, store.get), SHOWN_FILES)
        return tuple(_row(store, entry) for entry in entries)
    except StoreError:
        return ()


def _row(store: Store, entry: DirEntry) -> FileRow:
    size_bytes = entry.tsize_bytes
    if codec_of(entry.cid) != RAW:
        with suppress(DagUnsupported):
            size_bytes = stat(entry.cid, store.get).size_bytes
    return FileRow(name=entry.name, cid=cid_text(entry.cid), size_bytes=size_bytes)


def file_of(entries: Sequence[DirEntry], variant: str) -> DirEntry | None:
    """The entry that `variant` names: a whole file name, or a variant's without its suffix."""
    by_name = {entry.name: entry for entry in entries}
    if variant in by_name:
        return by_name[variant]
    if variant == ORIGINAL:
        return next((entry for entry in entries if entry.name.partition(".")[0] == ORIGINAL), None)
    return by_name.get(f"{variant}.webp")


def no_such_file(pin: Pin, ref: str, variant: str) -> NotFound | Usage:
    """What to say where `file_of` finds nothing."""
    if pin.content != "image":
        return Usage(f"{ref}: a directory; name a file in it", hint="`pinakothek show` lists them")
    if variant in STILLS or variant.startswith("frame-"):
        return NotFound(f"{ref}: no variant {variant}", hint="`pinakothek show` lists its files")
    return NotFound(f"{ref}: no file {variant}", hint="`pinakothek show` lists its files")


def media_type_of(pin: Pin, name: str) -> str:
    """The media type of a root's file."""
    if name.partition(".")[0] == ORIGINAL and pin.media_type is not None:
        return pin.media_type
    return type_by_name(name) or (pin.media_type if name == pin.name else None) or OCTETS
