"""Disturbances keep shape and range, repeat with the generator, and really disturb."""

from __future__ import annotations

import numpy as np

from recipes.orbit.augment import Augmentation


def view() -> np.ndarray:
    picture = np.random.default_rng(1).random((32, 32, 4)).astype(np.float32)
    picture[..., 3] = (np.arange(32) < 16)[:, None]
    return picture


def test_shape_range_and_input_are_kept():
    augmentation, given = Augmentation(), view()
    before = given.copy()
    for seed in range(60):
        out = augmentation(given, np.random.default_rng(seed))
        assert out.shape == (32, 32, 3)
        assert out.dtype == np.float32
        assert 0.0 <= out.min() <= out.max() <= 1.0
    np.testing.assert_array_equal(given, before)


def test_the_same_generator_gives_the_same_picture():
    augmentation = Augmentation()
    first, second = (augmentation(view(), np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_most_pictures_are_changed_by_much():
    augmentation = Augmentation()
    change = [np.abs(augmentation(view(), np.random.default_rng(seed)) - view()[..., :3]).mean() for seed in range(40)]
    assert np.median(change) > 0.08


def test_silhouettes_leave_the_coastline_alone():
    augmentation = Augmentation(silhouettes=1.0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        drawn = rng.bit_generator.state
        out = augmentation(view(), rng)
        rng.bit_generator.state = drawn
        assert not np.array_equal(out, Augmentation()(view(), rng))
    plain = Augmentation(strength=1e-9, silhouettes=1e9)  # nothing but the silhouette
    out = plain(view(), np.random.default_rng(3))
    assert np.ptp(out[:16], axis=(0, 1)).max() < 1e-6 and np.ptp(out[16:], axis=(0, 1)).max() < 1e-6


def test_seasons_whiten_darken_or_shine_and_no_more():
    plain = Augmentation(strength=1e-9, seasons=1e9)  # nothing but the season
    brighter = darker = 0
    for seed in range(60):
        out = plain(view(), np.random.default_rng(seed))
        assert out.dtype == np.float32 and 0.0 <= out.min() <= out.max() <= 1.0
        change = out - view()[..., :3]
        brighter += bool((change > 0.05).any())
        darker += bool((change < -0.2).any())
    assert brighter > 20 and darker > 5
