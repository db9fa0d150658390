"""SimCLR views of a photo (Chen et al., 2020) as GeoCLIP's published training draws them, without torch.

Source: ``geoclip/train/dataloader.py`` of the wheel 1.3.0, ``img_train_transform``; each operation is what torchvision
does with a Pillow image.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageEnhance

_SHARE, _RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # of the picture's area that is cropped; width over height, log-uniform
_STRENGTH, _HUE = 0.4, 0.1  # of the colour jitter
_JITTERED, _GREY, _FLIPPED = 0.8, 0.2, 0.5
_TRIES = 10


def simclr_view(image: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """A view ``size`` pixels square of an RGB ``image``: cropped, mirrored or not, its colours jittered or gone."""
    view = image.resize((size, size), Image.Resampling.BILINEAR, box=_crop(image.size, rng))
    if rng.random() < _FLIPPED:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < _JITTERED:
        view = _jittered(view, rng)
    if rng.random() < _GREY:
        view = view.convert("L").convert("RGB")
    return view


def _crop(shape: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    width, height = shape
    for _ in range(_TRIES):
        area = width * height * rng.uniform(*_SHARE)
        ratio = math.exp(rng.uniform(math.log(_RATIO[0]), math.log(_RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    # A strip, of which no such crop fits: the largest at its centre.
    w, h = min(width, max(1, round(height * _RATIO[1]))), min(height, max(1, round(width / _RATIO[0])))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _jittered(view: Image.Image, rng: np.random.Generator) -> Image.Image:
    order, factors = rng.permutation(4), rng.uniform(1 - _STRENGTH, 1 + _STRENGTH, 3)
    turn = rng.uniform(-_HUE, _HUE)
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for index in order:
        view = _turned_hue(view, turn) if index == 3 else kinds[index](view).enhance(float(factors[index]))
    return view


def _turned_hue(view: Image.Image, turn: float) -> Image.Image:
    hue, saturation, value = view.convert("HSV").split()
    levels = (np.asarray(hue).astype(np.int32) + round(turn * 255)) % 256
    return Image.merge("HSV", (Image.fromarray(levels.astype(np.uint8)), saturation, value)).convert("RGB")
