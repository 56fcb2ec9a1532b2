"""What the bytes of an image decide about it, and the files made from it."""

import json
from dataclasses import asdict, dataclass

RECIPE = 1
"""Version of the pipeline that makes variants and fingerprints: raised when the same original gives other bytes."""
RECIPE_ORIGINAL_ONLY = 0
"""No variants: fingerprints come from a faster, smaller decoding, and may differ from the others' in a few bits."""
IMAGE_JSON = "image.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """Everything in `image.json`.

    Attributes:
        media_type: by content.
        width_px, height_px: upright.
        size_bytes: of the original.
        frames: 1 for stills, and for the pages of a TIFF, of which the first counts.
        blake3: of the original, hexadecimal.
        phash: 64 bits as 16 hexadecimal digits; 8 bits apart or less is a near-duplicate.
        thumbhash: base64, at most 25 bytes: a placeholder to draw while the image loads.
        recipe: `RECIPE` or `RECIPE_ORIGINAL_ONLY` of the version that made this.
    """

    media_type: str
    width_px: int
    height_px: int
    size_bytes: int
    frames: int
    blake3: str
    phash: str
    thumbhash: str
    recipe: int

    def to_json(self) -> bytes:
        """The bytes of `image.json`: compact, keys in order, ASCII, a newline at the end; equal facts, equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """Facts, and the files of the image directory by name, without the original."""

    facts: ImageFacts
    files: dict[str, bytes]
