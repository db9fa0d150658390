"""Sources: pixels as the finished model sees them, the order of samples, batches made in other processes."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from earthclip.errors import EarthCLIPError
from earthclip.nn.image_encoder import MEAN, STD
from earthclip.pictures.preprocess import Preprocessing, preprocess
from earthclip.training.source import Order, dead_workers_named, made_ahead, to_tensor


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


def _fails(step: int) -> int:
    if step == 3:
        raise EarthCLIPError("the third cannot be read")
    return step


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_made_ahead_is_in_order_and_errors_are_their_own(workers):
    made = made_ahead(_fails, range(5), workers)
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(EarthCLIPError, match=r"^the third cannot be read$"):
        next(made)


def _dies(step: int) -> int:
    if step == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return step


def test_a_worker_that_is_killed_is_one_line():
    fault = r"was killed, perhaps for lack of memory; lower workers, or --resume$"
    with pytest.raises(EarthCLIPError, match=fault), dead_workers_named("lower workers"):
        list(made_ahead(_dies, range(5), 1))
