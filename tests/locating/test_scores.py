"""A picture's scores at every place: blocks of float16 against the whole product in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthclip.locating.gallery import BIAS, Gallery, score, shift
from earthclip.locating.posterior import Posterior


def unit(rng: np.random.Generator, m: int, d: int) -> np.ndarray:
    rows = rng.normal(size=(m, d))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def scores(scaled: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    products = np.empty((len(scaled), len(embeddings)), np.float32)
    score(scaled, embeddings, products)
    return products


@given(st.integers(1, 400), st.integers(1, 7), st.integers(0, 100), st.floats(0.1, 300))
def test_the_same_as_the_whole_product(m: int, queries: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    embeddings = unit(rng, m, 16).astype(np.float16)
    scaled = (scale * unit(rng, queries, 16)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earthclip.locating.gallery.BLOCK", 32)
        found = scores(scaled, embeddings)
    products = scaled.astype(np.float64) @ embeddings.astype(np.float64).T
    assert np.abs(found - products).max() < 1e-6 * scale


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_equal_places_come_in_the_gallerys_order(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthclip.locating.gallery.BLOCK", 8)
    monkeypatch.setattr("earthclip.locating.gallery._ALONE", 0)
    monkeypatch.setattr("earthclip.locating.gallery.usable_processors", lambda: threads)
    rows = unit(np.random.default_rng(0), 10, 8).astype(np.float16)
    gallery = Gallery(np.zeros((60, 2)), rows[np.arange(60) % 10], "")
    logits = gallery.logits(rows[3:4].astype(np.float32), 0.0)
    best = Posterior.from_logits(gallery.coordinates, logits[0]).best(6)
    assert best.tolist() == [3, 13, 23, 33, 43, 53]
    assert np.ptp(logits[0, best]) == 0


def test_large_scores_do_not_overflow() -> None:
    embeddings = unit(np.random.default_rng(1), 5000, 8).astype(np.float16)
    (logits,) = scores(np.float32(1e6) * embeddings[4321:4322].astype(np.float32), embeddings)
    places = np.zeros((5000, 2))
    posterior = Posterior.from_logits(places, logits)
    assert posterior.best(1).tolist() == [4321]
    assert posterior.top_k(2)[1].tolist() == [1.0, 0.0]


def test_no_query_has_no_score() -> None:
    embeddings = unit(np.random.default_rng(1), 50, 8).astype(np.float16)
    assert scores(np.empty((0, 8), np.float32), embeddings).shape == (0, 50)


def test_a_mapped_gallery_is_read_and_not_copied(tmp_path: object) -> None:
    rows = unit(np.random.default_rng(2), 3000, 4).astype(np.float16)
    path = f"{tmp_path}/rows.npy"
    np.save(path, rows)
    mapped = np.load(path, mmap_mode="r")
    queries = rows[[5, 2999]].astype(np.float32) * 50
    assert np.array_equal(scores(queries, mapped), scores(queries, rows))


def test_widening_is_exact_for_every_finite_float16() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)].reshape(-1, 8)
    wide = np.empty(finite.shape, np.float32)
    shift(finite, wide)
    wide *= np.float32(BIAS)
    assert np.array_equal(wide.view(np.uint32), finite.astype(np.float32).view(np.uint32))
