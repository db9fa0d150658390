"""Several views of one picture: itself, its mirror image, or ten crops, whose logits are averaged as the paper does."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from PIL import Image

from earthclip.errors import InputError
from earthclip.runtime.choice import VIEWS
from earthclip.runtime.decode import Reduced
from earthclip.runtime.preprocess import Preprocessing, cut_squares, normalize, resized_size


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
