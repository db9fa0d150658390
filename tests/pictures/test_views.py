"""Views of a picture: which squares they are, in which order, and that they cost no more than they must."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from earthclip.errors import InputError
from earthclip.pictures.preprocess import VIEWS, Preprocessing, preprocess, view_pixels

PLAIN = Preprocessing(size=224, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
CLIP = Preprocessing(224, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def ten_crop(image: Image.Image, size: int, shortest: int) -> np.ndarray:
    """Resize(shortest) and TenCrop(size) as torchvision documents and computes them, levels [10, 3, size, size]."""
    width, height = image.size
    if width <= height:
        resized = image.resize((shortest, int(shortest * height / width)), Image.Resampling.BICUBIC)
    else:
        resized = image.resize((int(shortest * width / height), shortest), Image.Resampling.BICUBIC)
    width, height = resized.size
    top, left = round((height - size) / 2.0), round((width - size) / 2.0)
    right, bottom = width - size, height - size
    squares = []
    for side in (resized, ImageOps.mirror(resized)):
        for x, y in ((0, 0), (right, 0), (0, bottom), (right, bottom), (left, top)):
            squares.append(np.asarray(side.crop((x, y, x + size, y + size))).transpose(2, 0, 1))
    return np.stack(squares)


@pytest.mark.parametrize(
    "picture", [noise(300, 200), noise(1, 1), noise(201, 500)], ids=lambda picture: f"{picture.width}x{picture.height}"
)
def test_none_is_what_preprocess_gives(picture: Image.Image) -> None:
    assert np.array_equal(view_pixels(picture, CLIP, "none"), preprocess(picture, CLIP)[None])


@pytest.mark.parametrize("shape", [(300, 200), (201, 500), (449, 224), (224, 224)])
def test_flip_is_the_picture_and_its_mirror_image(shape: tuple[int, int]) -> None:
    picture = noise(*shape)
    found = view_pixels(picture, PLAIN, "flip")
    assert found.shape == (2, 3, 224, 224) and found.dtype == np.float32 and found.flags.c_contiguous
    assert np.array_equal(found[0], preprocess(picture, PLAIN))
    # Resampling left to right and right to left may round differently.
    assert np.abs(found[1] - preprocess(ImageOps.mirror(picture), PLAIN)).max() * 255 < 1.01


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700))
def test_ten_crop_is_torchvisions(width: int, height: int) -> None:
    picture = noise(width, height)
    if max(picture.size) > 80 * min(picture.size):
        picture = noise(width, width)  # strips have their own test
    found = view_pixels(picture, PLAIN, "ten-crop")
    assert found.shape == (10, 3, 224, 224) and found.dtype == np.float32
    np.testing.assert_allclose(found * 255, ten_crop(picture, 224, 256), atol=1e-3)


def test_ten_crop_of_other_sizes_keeps_the_proportion() -> None:
    small = Preprocessing(size=98, mean=PLAIN.mean, std=PLAIN.std)
    found = view_pixels(noise(300, 171), small, "ten-crop")
    np.testing.assert_allclose(found * 255, ten_crop(noise(300, 171), 98, 112), atol=1e-3)
    one = Preprocessing(size=1, mean=PLAIN.mean, std=PLAIN.std)
    assert view_pixels(noise(3, 2), one, "ten-crop").shape == (10, 3, 1, 1)


def test_views_are_normalised_as_the_picture_itself() -> None:
    plain, clip = (view_pixels(noise(300, 260), kind, "ten-crop") for kind in (PLAIN, CLIP))
    mean, std = (np.array(values)[None, :, None, None] for values in (CLIP.mean, CLIP.std))
    np.testing.assert_allclose(clip, (plain - mean) / std, atol=1e-5)


def test_squashed_pictures_have_views_of_the_whole_width() -> None:
    squash = Preprocessing(size=8, mean=PLAIN.mean, std=PLAIN.std, fit="squash")
    half = Image.new("RGB", (400, 100))
    half.paste((255, 255, 255), (200, 0, 400, 100))
    none, mirrored = view_pixels(half, squash, "flip")
    assert none.shape == (3, 8, 8) and none[0, 4].round().tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert np.array_equal(mirrored, none[..., ::-1])
    assert view_pixels(half, squash, "ten-crop").shape == (10, 3, 8, 8)


def test_the_four_corners_come_in_reading_order() -> None:
    picture = Image.new("RGB", (512, 512))
    for level, corner in enumerate(((0, 0), (384, 0), (0, 384), (384, 384)), start=1):
        picture.paste((level * 50,) * 3, (*corner, corner[0] + 128, corner[1] + 128))
    found = view_pixels(picture, PLAIN, "ten-crop")[:, 0] * 255
    # The outer pixel of each corner square; a mirrored one shows the corner across.
    ends = ((0, 0), (0, -1), (-1, 0), (-1, -1))
    assert [round(float(found[view][end])) for view, end in enumerate(ends)] == [50, 100, 150, 200]
    assert [round(float(found[5 + view][end])) for view, end in enumerate(ends)] == [100, 50, 200, 150]


@pytest.mark.parametrize("shape", [(60_000, 1), (1, 60_000)])
def test_strips_cost_no_more_than_photos(shape: tuple[int, int]) -> None:
    strip = Image.new("RGB", shape, (255, 255, 255))
    tracemalloc.start()
    found = view_pixels(strip, PLAIN, "ten-crop")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.min() == 1.0 and peak < 40e6


def test_strips_have_their_ends_as_corners() -> None:
    strip = Image.new("RGB", (40_000, 10))
    strip.paste((255, 255, 255), (39_000, 0, 40_000, 10))
    found = view_pixels(strip, PLAIN, "ten-crop").mean(axis=(1, 2, 3))
    assert found.round(3).tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0, 0]


def test_unknown_views_are_refused_with_the_known_ones() -> None:
    assert VIEWS == ("none", "flip", "ten-crop")
    with pytest.raises(InputError, match=r"views is 'five'; expected one of none, flip, ten-crop$"):
        view_pixels(noise(9, 9), PLAIN, "five")
