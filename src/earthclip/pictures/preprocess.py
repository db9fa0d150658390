"""The one preprocessing: a decoded picture to an encoder's input, whole or in views such as ten crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32
from PIL import Image

from earthclip.errors import ConfigError, InputError
from earthclip.pictures import VIEWS
from earthclip.pictures.decode import Reduced

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_LONGEST_SHAPE = 100  # longer side over the square's, up to which the whole picture is resized
_REACH = 5  # pixels, more than the widest filter's 3 when enlarging


@dataclass(frozen=True)
class Preprocessing:
    """Shortest side resized to ``size`` pixels, centre crop ``size`` x ``size``, divided by 255, (x - mean) / std."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"
    fit: Literal["crop", "squash"] = "crop"  # squash: both sides to ``size``, as SigLIP was trained

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 4096:
            raise ConfigError(f"preprocessing: size must lie in 1..4096 pixels, found {self.size}")
        if not np.isfinite(self.mean).all():
            raise ConfigError(f"preprocessing: mean must be three finite numbers, found {list(self.mean)}")
        if not (np.isfinite(self.std).all() and min(self.std) > 0):
            raise ConfigError(f"preprocessing: std must be three numbers above 0, found {list(self.std)}")


def preprocess(image: Image.Image, preprocessing: Preprocessing) -> Float32[np.ndarray, "3 h w"]:
    """Pixels ``[3, size, size]`` of an 8-bit RGB ``image``, antialiased."""
    size = preprocessing.size
    resized = resized_size(image.size, size, preprocessing.fit)
    (square,) = cut_squares(image, resized, size, [_centre(resized, size)], preprocessing.interpolation)
    return normalize(square, preprocessing)


def normalize(image: Image.Image, preprocessing: Preprocessing) -> Float32[np.ndarray, "3 h w"]:
    """(level / 255 - mean) / std of an 8-bit RGB ``image``, colours first."""
    pixels = np.asarray(image, dtype=np.float32) / np.float32(255)
    mean, std = (np.array(values, dtype=np.float32) for values in (preprocessing.mean, preprocessing.std))
    return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1))


def resize_and_crop(image: Image.Image, size: int, interpolation: str = "bicubic") -> Image.Image:
    """The centre ``size`` x ``size`` of ``image`` after its shortest side became ``size`` pixels.

    The crop starts at ``floor((longer - size) / 2)``, as in CLIP's own processor; see ``cut_squares``.
    """
    resized = resized_size(image.size, size)
    return cut_squares(image, resized, size, [_centre(resized, size)], interpolation)[0]


def resized_size(shape: tuple[int, int], shortest: int, fit: str = "crop") -> tuple[int, int]:
    """(width, height) of a picture of ``shape`` after its shortest side became ``shortest`` pixels.

    The longer side becomes ``floor(shortest * longer / shorter)``, as in CLIP's own processor; when squashed, both
    become ``shortest``.
    """
    if fit == "squash":
        return shortest, shortest
    width, height = shape
    return shortest * width // min(shape), shortest * height // min(shape)


def cut_squares(
    image: Image.Image,
    resized: tuple[int, int],
    size: int,
    corners: list[tuple[int, int]],
    interpolation: str,
    box: tuple[float, float, float, float] | None = None,
) -> list[Image.Image]:
    """Squares of ``size`` pixels at (left, top) ``corners`` of ``image`` resized to (width, height) ``resized``.

    The picture is what lies in ``box`` (left, top, right, bottom) of ``image``, by default all of it.

    Beyond 100 times as long as a square, only the squares are computed, so that a strip of 60,000 x 1 takes no more
    memory than a photo; Pillow may then round 2 levels away from resizing first.
    """
    kind = _FILTERS[interpolation]
    if max(resized) <= _LONGEST_SHAPE * size:
        whole = image.resize(resized, kind, box=box)
        return [whole.crop((left, top, left + size, top + size)) for left, top in corners]
    x, y, end, floor = box or (0.0, 0.0, float(image.width), float(image.height))
    across, down = (end - x) / resized[0], (floor - y) / resized[1]
    squares = []
    for left, top in corners:
        right, bottom = min(x + (left + size) * across, end), min(y + (top + size) * down, floor)
        squares.append(_resize_box(image, size, kind, (x + left * across, y + top * down, right, bottom)))
    return squares


def _resize_box(
    image: Image.Image, size: int, kind: Image.Resampling, box: tuple[float, float, float, float]
) -> Image.Image:
    # Pillow clips to 0..255 between its two passes, and starts with the other one where a tall strip shrinks. When
    # the whole would grow but the square shrinks the strip's height, cutting out what the filter reaches prevents it.
    x, y = 0, 0
    if box[2] - box[0] <= size:
        x, y = max(int(box[0]) - _REACH, 0), max(int(box[1]) - _REACH, 0)
        image = image.crop((x, y, min(int(box[2]) + _REACH, image.width), min(int(box[3]) + _REACH, image.height)))
    return image.resize((size, size), kind, box=(box[0] - x, box[1] - y, box[2] - x, box[3] - y))


def _centre(resized: tuple[int, int], size: int) -> tuple[int, int]:
    return (resized[0] - size) // 2, (resized[1] - size) // 2


def view_pixels(
    image: Image.Image | Reduced, preprocessing: Preprocessing, views: str
) -> Float32[np.ndarray, "v 3 h w"]:
    """Pixels of the views of an 8-bit RGB ``image``: 1 for "none", 2 for "flip", 10 for "ten-crop".

    - none: the picture as ``preprocess`` gives it.
    - flip: that, and the same of the picture's mirror image.
    - ten-crop: the shortest side resized to round(size * 256 / 224), of which the top left, top right, bottom left,
      bottom right and centre squares are taken, then the same five of the mirror image (torchvision's TenCrop).

    Logits are linear in the image embedding: the mean of the views' logits is the logit of the mean of their unit
    embeddings. That mean must not be normalised again, which would sharpen the answer where the views disagree.
    Raises InputError for any other ``views``.
    """
    if views not in VIEWS:
        raise InputError(f"views is '{views}'; expected one of {', '.join(VIEWS)}")
    size, shortest = preprocessing.size, shortest_side(preprocessing, views)
    resized = resized_size(image.size, shortest, preprocessing.fit)
    right, bottom = resized[0] - size, resized[1] - size
    corners = [(right // 2, bottom // 2)]
    if views == "ten-crop":
        # Half a pixel left over is rounded to even, not down, in torchvision's centre crop.
        corners = [(0, 0), (right, 0), (0, bottom), (right, bottom), (round(right / 2), round(bottom / 2))]
    # Where a square of the mirror image lies before mirroring.
    mirrored = [] if views == "none" else [(right - left, top) for left, top in corners]
    whole, box = (image.image, image.box) if isinstance(image, Reduced) else (image, None)
    squares = cut_squares(whole, resized, size, corners + mirrored, preprocessing.interpolation, box)
    for index in range(len(corners), len(squares)):
        squares[index] = squares[index].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.stack([normalize(square, preprocessing) for square in squares])


def shortest_side(preprocessing: Preprocessing, views: str) -> int:
    """Pixels of a picture's shorter side once it is resized for ``views``."""
    return round(preprocessing.size * 256 / 224) if views == "ten-crop" else preprocessing.size
