"""Photos as a phone takes them, 12 megapixels of JPEG, made of this repository's own pictures; the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SIZE = (4000, 3000)
GRAIN = 4.0  # of 255: noise of a sensor, so that a file has the megabytes, and the work to decode, of a photo's


def make_photos(folder: Path, count: int, size: tuple[int, int] = SIZE) -> list[Path]:
    """``count`` photos in ``folder``; those that are there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted((ROOT / "examples").glob("*.jpg"))
    paths = [folder / f"photo-{n:02}.jpg" for n in range(count)]
    for n, path in enumerate(paths):
        if not path.exists():
            part = path.with_suffix(".part")
            _photo(sources, n, size).save(part, "JPEG", quality=90)
            part.replace(path)
    return paths


def _photo(sources: list[Path], seed: int, size: tuple[int, int]) -> Image.Image:
    """Parts of one picture beside parts of another, enlarged two or three times, turned, mirrored, and with grain."""
    rng = np.random.default_rng(seed)
    photo = Image.new("RGB", size)
    width, height = size[0] // 4, size[1] // 3
    for left in range(0, size[0], width):
        for top in range(0, size[1], height):
            with Image.open(sources[rng.integers(len(sources))]) as source:
                part = np.array([width, height]) / rng.uniform(2, 3)
                corner = rng.uniform(0, 1, 2) * (source.size - part)
                box = (*corner.tolist(), *(corner + part).tolist())
                tile = source.convert("RGB").resize((width, height), Image.Resampling.BICUBIC, box)
            if rng.random() < 0.5:
                tile = tile.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            if rng.random() < 0.5:
                tile = tile.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
            photo.paste(tile, (left, top))
    grain = rng.standard_normal((size[1], size[0], 1), np.float32) * GRAIN
    return Image.fromarray(np.clip(np.asarray(photo) + grain, 0, 255).astype(np.uint8))
