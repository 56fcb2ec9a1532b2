"""Put an image's directory together: the original, its variants and `image.json` under one root."""

from store.images.facts import BuiltImage
from store.images.sniff import format_of
from store.unixfs import Block, DirEntry, import_file, make_directory


def original_name(media_type: str) -> str:
    """The original's name in its directory: `original.jpg` for image/jpeg. Raises: ImageRejected for no image's type."""
    return f"original.{format_of(media_type).extension}"


def image_directory(original_cid: bytes, original_tsize_bytes: int, built: BuiltImage) -> list[Block]:
    """Return the blocks of an image's directory besides the original's, each once, the root last.

    Args:
        original_cid, original_tsize_bytes: root and cumulative size of the original, imported before.
        built: of that original.
    """
    entries = [DirEntry(original_name(built.facts.media_type), original_cid, original_tsize_bytes)]
    blocks: dict[bytes, Block] = {}
    for name, content in built.files.items():
        imported = import_file([content])
        blocks.update((block.cid, block) for block in imported)
        entries.append(DirEntry(name, imported.root, imported.tsize_bytes))
    return [*blocks.values(), make_directory(entries)]
