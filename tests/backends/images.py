"""Made-up images, as directories of the profile, for tests of backends: the bytes are no pictures."""

import random
from dataclasses import dataclass
from functools import lru_cache

from store.backends import Backend
from store.cid import RAW, cid_text, codec_of
from store.unixfs import DirEntry, import_file, make_directory

ORIGINAL_BYTES = (5 << 19) + 77
"""Two and a half chunks."""


@dataclass(frozen=True)
class Image:
    """A root with its files by name, its other blocks by the text of their CIDs, and all its blocks."""

    root: bytes
    files: dict[str, bytes]
    nodes: dict[str, bytes]
    blocks: dict[bytes, bytes]

    @property
    def original(self) -> tuple[str, bytes]:
        return "original.jpg", self.files["original.jpg"]

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.blocks.values()))


@lru_cache(maxsize=64)
def image(seed: str, size_bytes: int = ORIGINAL_BYTES) -> Image:
    """The image of a seed, always the same."""
    chance = random.Random(seed)
    files = {
        "original.jpg": chance.randbytes(size_bytes),
        "small.webp": chance.randbytes(900),
        "image.json": f'{{"seed": "{seed}"}}'.encode(),
    }
    blocks: dict[bytes, bytes] = {}
    entries = []
    for name, content in files.items():
        imported = import_file([content])
        blocks.update((block.cid, block.data) for block in imported)
        entries.append(DirEntry(name, imported.root, imported.tsize_bytes))
    root = make_directory(entries)
    blocks[root.cid] = root.data
    nodes = {cid_text(cid): block for cid, block in blocks.items() if codec_of(cid) != RAW}
    return Image(root.cid, files, nodes, blocks)


def put_image(backend: Backend, an_image: Image, *, without: str = "") -> None:
    """Put everything, the root's own block last."""
    root_name = cid_text(an_image.root)
    for name, content in (an_image.files | an_image.nodes).items():
        if name not in (without, root_name):
            assert backend.put(an_image.root, name, [content]) == len(content)
    backend.put(an_image.root, root_name, [an_image.nodes[root_name]])
