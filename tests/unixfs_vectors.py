"""The DAGs of tests/vectors/unixfs.json, made with the real Kubo: what imports must equal, and forms that must be readable."""

import base64
import json
from pathlib import Path
from typing import Any

from store.cid import parse_cid
from store.unixfs import Block, DirEntry, import_file, make_directory, tsize_of

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "unixfs.json").read_text())
_PERIOD = bytes(range(251))


def content(size_bytes: int) -> bytes:
    """Bytes that no chunk size divides into equal chunks: byte i is i mod 251."""
    return (_PERIOD * (size_bytes // len(_PERIOD) + 1))[:size_bytes]


def blocks_of(vector: dict[str, Any]) -> dict[bytes, bytes]:
    """The blocks that a vector brings along, by CID."""
    return {parse_cid(cid): base64.b64decode(block) for cid, block in vector["blocks"].items()}


def import_tree(files: dict[str, int]) -> Block:
    """Import a directory of `content`, given each file's size by its path; return the root's block."""
    below: dict[str, dict[str, int]] = {}
    entries = []
    for path, size_bytes in files.items():
        name, _, rest = path.partition("/")
        if rest:
            below.setdefault(name, {})[rest] = size_bytes
            continue
        importing = import_file([content(size_bytes)])
        for _ in importing:
            pass
        entries.append(DirEntry(name, importing.root, importing.tsize_bytes))
    for name, inner in below.items():
        block = import_tree(inner)
        entries.append(DirEntry(name, block.cid, tsize_of(block)))
    return make_directory(entries)
