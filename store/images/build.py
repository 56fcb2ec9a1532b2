"""Everything that is made of one image: facts, fingerprints, variants, previews."""

from base64 import b64encode
from pathlib import Path

from blake3 import blake3
from PIL import Image

from store.errors import ImageRejected
from store.images.animation import make_previews
from store.images.decode import decode_still, open_image, orientation_of, read_original, rejecting
from store.images.facts import IMAGE_JSON, RECIPE, RECIPE_ORIGINAL_ONLY, BuiltImage, ImageFacts
from store.images.fingerprint import phash, thumbhash
from store.images.limits import ImageLimits
from store.images.made import Stripped
from store.images.sniff import HEAD_BYTES, Format, sniff
from store.images.strip import check_strippable, left_in, strip_metadata
from store.images.variants import VARIANTS_PX, Source, make_variants, show
from store.images.video import read_video

_SMALL_PX = min(VARIANTS_PX.values())


def build_image(path: Path, limits: ImageLimits, *, variants: bool = True) -> BuiltImage:
    """Check an image and make its files. The same bytes give the same files, in every process.

    Args:
        path: a regular file; its name does not matter.
        variants: make pictures too, not only `image.json`.

    Raises:
        ImageRejected: it cannot be read, is no image, is damaged or cut, or exceeds `limits`.
    """
    content = read_original(path, limits)
    with rejecting(len(content), limits):
        return _build(content, limits, variants)


def strip_original(path: Path, limits: ImageLimits) -> Stripped:
    """Return the bytes of an image without location, camera data and comments, each pixel as it was.

    Raises:
        ImageRejected: it is no image, or something would be left in it.
    """
    content = read_original(path, limits)
    with rejecting(len(content), limits):
        check_strippable(sniff(content[:HEAD_BYTES]))
        before = open_image(content, limits)
        stripped = strip_metadata(content, before.kind, orientation_of(before.image))
        after = open_image(stripped, limits)
        left = left_in(stripped, after.image)
        if left is None and orientation_of(after.image) != orientation_of(before.image):
            left = "the only word on which side is up"
        if left is not None:
            raise ImageRejected(
                f"its metadata cannot be taken out, and the flow wants it stripped: {left} is in the way"
            )
        return Stripped(stripped, stripped != content)


def _build(content: bytes, limits: ImageLimits, variants: bool) -> BuiltImage:
    kind = sniff(content[:HEAD_BYTES])
    if kind.video:
        return _build_video(content, kind, limits, variants)
    opened = open_image(content, limits)
    largest_px = max(VARIANTS_PX.values()) if variants else _SMALL_PX
    still = decode_still(opened, largest_px)
    source = Source(still.orientation, still.profile)
    small = show(still.image, source, largest_px, still.original_px)
    files: dict[str, bytes] = {}
    if variants:
        files, small = make_variants(small)
        if opened.frames > 1:
            files |= make_previews(opened, source)
    facts = _facts(content, opened.kind, still.upright_px, opened.frames, small, variants)
    return BuiltImage(facts=facts, files=files | {IMAGE_JSON: facts.to_json()})


def _build_video(content: bytes, kind: Format, limits: ImageLimits, variants: bool) -> BuiltImage:
    """Variants of a video are its poster's."""
    clip = read_video(content, kind, limits, previews=variants)
    files = dict(clip.files)
    small = show(clip.poster, Source(1, None), max(VARIANTS_PX.values()) if variants else _SMALL_PX, clip.poster.size)
    if variants:
        pictures, small = make_variants(small)
        files |= pictures
    facts = _facts(content, kind, clip.poster.size, clip.frames, small, variants)
    return BuiltImage(facts=facts, files=files | {IMAGE_JSON: facts.to_json()})


def _facts(
    content: bytes, kind: Format, size_px: tuple[int, int], frames: int, small: Image.Image, variants: bool
) -> ImageFacts:
    return ImageFacts(
        media_type=kind.media_type,
        width_px=size_px[0],
        height_px=size_px[1],
        size_bytes=len(content),
        frames=frames,
        blake3=blake3(content).hexdigest(),
        phash=phash(small),
        thumbhash=b64encode(thumbhash(small)).decode("ascii"),
        recipe=RECIPE if variants else RECIPE_ORIGINAL_ONLY,
    )
