"""Images per second in, against Pillow alone making the same variants."""

import tempfile
import time
from pathlib import Path

from node.demo.peers import swarm
from scripts.bench_sections.figures import Figure
from scripts.pillow_alone import pillow_alone
from tests.photos import crops

PHOTOS = 100
BAR = 0.8


def intake() -> list[Figure]:
    """One peer, one `add` of 4K photos, every one fsynced before it is acknowledged."""
    photos = crops(PHOTOS)
    with tempfile.TemporaryDirectory(prefix="bench-") as home, swarm(Path(home), ("solo",)) as [peer]:
        peer.call("add", *map(str, photos[:4]))  # the decoder's workers start once, not per image
        alone = pillow_alone(photos[4:])
        start_s = time.monotonic()
        peer.call("add", *map(str, photos[4:]), timeout_s=600)
        ours = (PHOTOS - 4) / (time.monotonic() - start_s)
    return [Figure("intake", "4K photos in, with variants", ours, "images/s", alone, "Pillow alone", ours / alone, BAR)]
