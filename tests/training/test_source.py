"""Sources: pixels as the finished model sees them, the order of samples, batches made in other processes."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from earthclip.nn.image_encoder import MEAN, STD
from earthclip.pictures.preprocess import Preprocessing, preprocess
from earthclip.training.source import Order, to_tensor


def test_training_pixels_are_the_models_preprocessing():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    preprocessing = Preprocessing(16, (MEAN,) * 3, (STD,) * 3)
    expected = np.stack([preprocess(Image.fromarray(picture), preprocessing) for picture in pictures])
    np.testing.assert_allclose(to_tensor(pictures, preprocessing).numpy(), expected, atol=1e-6)
    assert to_tensor(pictures, preprocessing).is_contiguous(memory_format=torch.channels_last)


def test_every_photo_is_seen_once_an_epoch_and_batches_follow_from_the_step():
    order = Order(10, 4, seed=3)
    seen = np.concatenate([order.batch(step) for step in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert not np.array_equal(seen[:10], seen[10:])
    assert np.array_equal(Order(10, 4, seed=3).batch(4), seen[16:])
