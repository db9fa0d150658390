"""Looking up pictures of the whole globe (equirectangular: north up, -180 degrees at the left edge).

A pyramid of reduced copies avoids aliasing when a view is coarser than the picture; a border of one texel, wrapped
at the antimeridian and turned half a revolution over the poles, lets every lookup interpolate without a seam.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from earthclip.geo.sphere import EARTH_RADIUS_KM

_SMALLEST_WIDTH = 240
_LEVELS_PER_OCTAVE = 2


class Texture:
    """An RGB picture of the globe with the land fraction as its fourth channel, ready for lookups at any scale."""

    def __init__(self, rgb: Image.Image, land: Image.Image, *, width: int | None = None) -> None:
        width = min(width or rgb.width, rgb.width)
        size = (width, width // 2)
        rgba = (rgb if rgb.size == size else rgb.resize(size, Image.Resampling.BOX)).convert("RGB")
        rgba.putalpha(land.resize(size, Image.Resampling.BOX))
        # Reduced channel by channel: Pillow would weight colours by the land fraction if it took it for opacity.
        channels = rgba.split()
        self._levels: list[tuple[int, int, np.ndarray]] = []
        level = 0
        while (level_width := round(width / 2 ** (level / _LEVELS_PER_OCTAVE))) >= min(_SMALLEST_WIDTH, width):
            level_size = (level_width, level_width // 2)
            reduced = [
                np.asarray(c if level == 0 else c.resize(level_size, Image.Resampling.HAMMING)) for c in channels
            ]
            packed = np.ascontiguousarray(_with_border(np.stack(reduced, axis=-1))).view(np.uint32)
            self._levels.append((*level_size, packed.ravel()))
            level += 1

    @property
    def width(self) -> int:
        """Pixels around the equator at full resolution."""
        return self._levels[0][0]

    def lookup(self, ground: Float[np.ndarray, "... 3"], pixel_km: float) -> Float[np.ndarray, "... 4"]:
        """Red, green, blue and land fraction, each in [0, 1], at unit vectors, for pixels ``pixel_km`` wide."""
        texel_km = 2 * math.pi * EARTH_RADIUS_KM / self.width
        level = math.floor(_LEVELS_PER_OCTAVE * math.log2(max(pixel_km / texel_km, 1.0)) + 0.25)
        width, height, packed = self._levels[min(level, len(self._levels) - 1)]
        x, y, z = ground[..., 0], ground[..., 1], ground[..., 2]
        column = (np.arctan2(y, x) + np.float32(math.pi)) * np.float32(width / (2 * math.pi)) + np.float32(0.5)
        row = np.float32(height / 2 + 0.5) - np.arcsin(np.clip(z, -1, 1)) * np.float32(height / math.pi)
        left = np.clip(column.astype(np.int32), 0, width)
        top = np.clip(row.astype(np.int32), 0, height)
        right_weight = np.clip(column - left, 0, 1)[..., None]
        bottom_weight = np.clip(row - top, 0, 1)[..., None]
        stride = width + 2
        corner = top * stride + left
        upper = _blend(_texels(packed, corner), _texels(packed, corner + 1), right_weight)
        lower = _blend(_texels(packed, corner + stride), _texels(packed, corner + stride + 1), right_weight)
        return _blend(upper, lower, bottom_weight) * np.float32(1 / 255)


def _texels(packed: np.ndarray, index: np.ndarray) -> np.ndarray:
    return packed.take(index).view(np.uint8).reshape(*index.shape, 4).astype(np.float32)


def _blend(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    second -= first
    second *= weight
    second += first
    return second


def _with_border(texels: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h+2 w+2 c"]:
    half = texels.shape[1] // 2
    over_north, over_south = np.roll(texels[:1], half, axis=1), np.roll(texels[-1:], half, axis=1)
    tall = np.concatenate([over_north, texels, over_south])
    return np.concatenate([tall[:, -1:], tall, tall[:, :1]], axis=1)
