"""What a DAG from elsewhere claims to be: an image directory of ours, with an original and `image.json`.

A claim only: whoever relies on it makes the directory anew from the original and compares the roots.
"""

import json
from typing import NamedTuple

from store.dag_pb import MAX_BLOCK_BYTES
from store.errors import StoreError
from store.images.facts import IMAGE_JSON, RECIPE_ORIGINAL_ONLY
from store.traversal import GetBlock
from store.unixfs import DirEntry, list_directory, read_file

ENTRIES = 64
"""More than any image directory has."""


class ClaimedImage(NamedTuple):
    """An image directory, as it says of itself.

    Attributes:
        original: the entry of the bytes as received.
        has_variants: whether it was made with smaller variants.
    """

    original: DirEntry
    has_variants: bool


def claimed_image(root: bytes, get_block: GetBlock) -> ClaimedImage | None:
    """What the directory `root` claims, None where it is no such directory."""
    try:
        entries: dict[str, DirEntry] = {}
        for entry in list_directory(root, get_block):
            entries[entry.name] = entry
            if len(entries) > ENTRIES:
                return None
        original = next((entry for name, entry in entries.items() if name.partition(".")[0] == "original"), None)
        about = entries.get(IMAGE_JSON)
        if original is None or about is None:
            return None
        facts = json.loads(b"".join(read_file(about.cid, get_block, 0, MAX_BLOCK_BYTES)))
        return ClaimedImage(original, facts["recipe"] != RECIPE_ORIGINAL_ONLY)
    except (StoreError, ValueError, TypeError, KeyError):
        return None
