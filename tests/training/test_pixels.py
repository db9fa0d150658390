"""Training and running see the same pixels."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from earthclip.pictures.preprocess import Preprocessing, preprocess
from earthclip.training.pixels import MEAN, STD, to_tensor


def test_training_pixels_are_the_models_preprocessing():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    preprocessing = Preprocessing(16, (MEAN,) * 3, (STD,) * 3)
    expected = np.stack([preprocess(Image.fromarray(picture), preprocessing) for picture in pictures])
    np.testing.assert_allclose(to_tensor(pictures).numpy(), expected, atol=1e-6)
    assert to_tensor(pictures).is_contiguous(memory_format=torch.channels_last)
