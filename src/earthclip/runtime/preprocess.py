"""The one preprocessing: an RGB image into the pixels a model was trained on. Training and running both call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32
from PIL import Image

from earthclip.errors import ConfigError

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_LONGEST_SHAPE = 100  # longer side over shorter, up to which the whole picture is resized


@dataclass(frozen=True)
class Preprocessing:
    """Shortest side resized to ``size`` pixels, centre crop ``size`` x ``size``, divided by 255, (x - mean) / std."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 4096:
            raise ConfigError(f"preprocessing: size must lie in 1..4096 pixels, found {self.size}")
        if not np.isfinite(self.mean).all():
            raise ConfigError(f"preprocessing: mean must be three finite numbers, found {list(self.mean)}")
        if not (np.isfinite(self.std).all() and min(self.std) > 0):
            raise ConfigError(f"preprocessing: std must be three numbers above 0, found {list(self.std)}")


def preprocess(image: Image.Image, preprocessing: Preprocessing) -> Float32[np.ndarray, "3 h w"]:
    """Pixels ``[3, size, size]`` of an 8-bit RGB ``image``, antialiased."""
    square = resize_and_crop(image, preprocessing.size, preprocessing.interpolation)
    pixels = np.asarray(square, dtype=np.float32) / np.float32(255)
    mean, std = (np.array(values, dtype=np.float32) for values in (preprocessing.mean, preprocessing.std))
    normalised = (pixels - mean) / std
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))


def resize_and_crop(image: Image.Image, size: int, interpolation: str = "bicubic") -> Image.Image:
    """The centre ``size`` x ``size`` of ``image`` after its shortest side became ``size`` pixels.

    The longer side becomes ``floor(size * longer / shorter)`` and the crop starts at ``floor((longer - size) / 2)``,
    as in CLIP's own processor. Beyond 100 times as long as wide, only the cropped part is computed, so that a strip of
    60,000 x 1 takes no more memory than a photo; Pillow may then round 2 levels away from resizing first.
    """
    shorter = min(image.size)
    resized = (size * image.width // shorter, size * image.height // shorter)
    left, top = (resized[0] - size) // 2, (resized[1] - size) // 2
    kind = _FILTERS[interpolation]
    if max(image.size) <= _LONGEST_SHAPE * shorter:
        return image.resize(resized, kind).crop((left, top, left + size, top + size))
    across, down = image.width / resized[0], image.height / resized[1]
    right, bottom = min((left + size) * across, image.width), min((top + size) * down, image.height)
    return image.resize((size, size), kind, box=(left * across, top * down, right, bottom))
