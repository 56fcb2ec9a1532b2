"""Small pictures made on the spot, each different, for tests where a real photo would only cost time."""

from pathlib import Path

import numpy as np
from PIL import Image


def make_pictures(count: int, home: Path, *, seed: int = 0, width_px: int = 640, height_px: int = 480) -> list[Path]:
    """Write `count` different JPEGs of smooth colour and noise into `home`."""
    home.mkdir(parents=True, exist_ok=True)
    return [_picture(home / f"picture-{seed}-{i:03}.jpg", seed * 1000 + i, width_px, height_px) for i in range(count)]


def _picture(path: Path, seed: int, width_px: int, height_px: int) -> Path:
    chance = np.random.default_rng(seed)
    coarse = Image.fromarray(chance.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width_px, height_px), Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = np.clip(smooth + chance.integers(-12, 12, smooth.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path, "JPEG", quality=90)
    return path
