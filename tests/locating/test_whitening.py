"""Whitened embeddings tell places apart that have much in common; an index compares with them if that was fitted."""

from __future__ import annotations

import dataclasses

import numpy as np

from earthclip.locating.evidence import CANDIDATES, Weights
from earthclip.locating.whitening import Whitening
from tests.locating.test_photo_index import index_of


def seen(places: np.ndarray, seed: int) -> np.ndarray:
    """Embeddings [n, 16] of photos of places: what all share, the light of the day, and a little of the place."""
    rng = np.random.default_rng(seed)
    rows = 0.05 * rng.normal(size=(len(places), 16))
    rows[:, 0] += 4
    rows[:, 1] += rng.normal(size=len(places))
    rows[:, 2:] += 0.3 * np.random.default_rng(9).normal(size=(200, 14))[places]
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_what_all_have_in_common_does_not_count() -> None:
    index, asked = index_of(seen(np.arange(200), 0)), seen(np.arange(200), 1)
    whitened = dataclasses.replace(index, about=dataclasses.replace(index.about, weights=Weights(whitened=200)))
    right = [
        np.mean([near.rows[0] == row for row, near in enumerate(one.search(asked, []))]) for one in (index, whitened)
    ]
    assert right[0] < 0.6 and right[1] > 0.85
    (near,) = whitened.search(asked[:1], [])
    assert len(near.rows) == 50 and (np.diff(near.similarities) <= 0).all() and near.similarities[0] < 0.99
    candidates = index.nearest(asked[:1], CANDIDATES)
    np.testing.assert_array_equal(index.compared(asked[:1], candidates)[0].rows, candidates[0].rows[:50])


def test_photos_added_since_the_fit_change_no_similarity() -> None:
    rows = seen(np.arange(200), 0)
    before, after = (Whitening.of(some[:150]) for some in (rows, np.concatenate([rows, rows])))
    np.testing.assert_array_equal(before(rows), after(rows))
    np.testing.assert_allclose(np.linalg.norm(before(rows), axis=1), 1.0, atol=1e-5)
    assert np.isfinite(Whitening.of(rows[:1])(rows)).all()


def test_a_query_that_is_shorter_than_1_is_compared_as_its_direction() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    whitening = Whitening.of(rows)
    np.testing.assert_allclose(whitening(0.8 * rows), whitening(rows), atol=1e-5)
