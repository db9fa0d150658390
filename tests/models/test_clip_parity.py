"""Our preprocessing against CLIP's own processor in transformers: at most one of 255 levels apart on every pixel.

The processor is made from its default settings, which are those of ViT-L/14; nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from earthclip.pictures.decode import as_rgb, decode
from earthclip.pictures.preprocess import Preprocessing, preprocess

try:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil as Processor
except ImportError:  # transformers 4, whose only one needs no torchvision
    from transformers import CLIPImageProcessor as Processor

CLIP = Preprocessing(224, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
LEVELS = Preprocessing(224, (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(width * 10_000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def theirs(image: Image.Image) -> np.ndarray:
    found = Processor()(image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"]
    assert found.shape == (1, 3, 224, 224)
    return np.asarray(found[0]).astype(int)


def ours(image: Image.Image) -> np.ndarray:
    return preprocess(as_rgb(image, "picture"), LEVELS).round().astype(int)


def assert_close(found: np.ndarray, expected: np.ndarray, levels: int = 1) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= levels


@pytest.mark.parametrize(
    "shape",
    [(224, 224), (225, 223), (301, 1201), (1201, 301), (4000, 500), (500, 4000), (37, 53), (1999, 1001), (2000, 21)],
)
def test_odd_sizes_and_panoramas(shape: tuple[int, int]) -> None:
    assert_close(ours(picture(*shape)), theirs(picture(*shape)))


@settings(max_examples=30, deadline=None)
@given(st.integers(16, 700), st.integers(16, 700))
def test_any_size(width: int, height: int) -> None:
    assert_close(ours(picture(width, height)), theirs(picture(width, height)))


@pytest.mark.parametrize("shape", [(1500, 10), (10, 1507), (7, 2011), (230, 23_500), (23_500, 230)])
def test_strips_of_which_only_the_crop_is_computed(shape: tuple[int, int]) -> None:
    assert_close(ours(picture(*shape)), theirs(picture(*shape)), levels=2)


def test_normalised_values_are_those_of_its_defaults() -> None:
    image = picture(640, 427)
    expected = np.asarray(Processor()(image, return_tensors="np")["pixel_values"][0])
    one_level = 1 / 255 / np.array(CLIP.std)[:, None, None]
    assert (np.abs(preprocess(image, CLIP) - expected) <= one_level * 1.001).all()


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("RGB", "jpg"),
        ("RGB", "webp"),
        ("RGB", "tiff"),
        ("RGB", "bmp"),
        ("L", "png"),
        ("L", "jpg"),
        ("1", "png"),
        ("P", "png"),
        ("P", "gif"),
        ("CMYK", "jpg"),
        ("CMYK", "tiff"),
        ("YCbCr", "jpg"),
    ],
)
def test_files_of_every_mode(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    smooth = picture(317, 241).filter(ImageFilter.GaussianBlur(5))
    smooth.convert(mode).save(path)
    with Image.open(path) as image:
        assert_close(preprocess(decode(path), LEVELS).round().astype(int), theirs(image))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "I;16", "I", "F"])
def test_modes_it_takes_otherwise_agree_once_decoded(mode: str) -> None:
    # Compared on our RGB: CLIP's processor clips 16 bits and more at 255, and in transformers 4 drops alpha.
    if mode.startswith("I"):
        depths = np.arange(317 * 241, dtype=np.uint16).reshape(241, 317)
        image = Image.fromarray(depths if mode == "I;16" else depths.astype(np.int32))
    else:
        image = picture(317, 241, "LA" if mode == "PA" else mode)
        image = image.convert("PA") if mode == "PA" else image
    assert image.mode == mode
    assert_close(ours(image), theirs(as_rgb(image, "picture")))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_orientations_agree_once_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    # Compared on our upright RGB: CLIP's processor ignores EXIF and sees the picture sideways.
    path, exif = tmp_path / f"a.{suffix}", Image.Exif()
    exif[0x0112] = orientation
    picture(341, 227).save(path, exif=exif)
    upright = decode(path)
    assert upright.size == ((341, 227) if orientation < 5 else (227, 341))
    assert_close(preprocess(upright, LEVELS).round().astype(int), theirs(upright))
    with Image.open(path) as stored:
        assert np.array_equal(theirs(stored), theirs(upright)) == (orientation == 1)
