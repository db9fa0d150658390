"""The one preprocessing, against resizing first and cropping after, which it must equal."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from earthclip.errors import ConfigError
from earthclip.pictures.preprocess import Preprocessing, preprocess, resize_and_crop

PLAIN = Preprocessing(size=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.sampled_from(["bilinear", "bicubic", "lanczos"]))
def test_equals_resize_then_centre_crop(width: int, height: int, size: int, interpolation: str) -> None:
    image = noise(width, height)
    shorter = min(width, height)
    whole = (size * width // shorter, size * height // shorter)
    left, top = (whole[0] - size) // 2, (whole[1] - size) // 2
    found = np.asarray(resize_and_crop(image, size, interpolation))
    assert found.shape == (size, size, 3)
    expected = image.resize(whole, Image.Resampling[interpolation.upper()])
    np.testing.assert_array_equal(found, np.asarray(expected.crop((left, top, left + size, top + size))))


def test_values_and_layout() -> None:
    image = Image.new("RGB", (20, 10), (255, 0, 51))
    settings_ = Preprocessing(size=4, mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 1.0))
    found = preprocess(image, settings_)
    assert found.shape == (3, 4, 4) and found.dtype == np.float32 and found.flags.c_contiguous
    assert found[:, 2, 3] == pytest.approx([1.0, -2.0, -0.3], abs=1e-6)


def test_is_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    found = preprocess(Image.fromarray(stripes), PLAIN)
    assert np.abs(found - 0.5).max() < 0.05


def test_one_pixel_and_extreme_strips_cost_no_more_than_a_square() -> None:
    assert preprocess(Image.new("RGB", (1, 1), (255, 255, 255)), PLAIN).min() == 1.0
    strip = Image.new("RGB", (60_000, 1), (255, 255, 255))
    tracemalloc.start()
    found = preprocess(strip, Preprocessing(size=224, mean=PLAIN.mean, std=PLAIN.std))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (3, 224, 224) and found.min() == 1.0
    assert peak < 10e6


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"size": 10**6}, {"std": (1.0, 0.0, 1.0)}, {"mean": (float("nan"), 0.0, 0.0)}]
)
def test_impossible_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Preprocessing(**{"size": 8, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), **wrong})  # type: ignore[arg-type]
