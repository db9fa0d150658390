"""Blocked search against the whole product, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthclip.locating.gallery import BIAS, search, shift


def unit(rng: np.random.Generator, m: int, d: int) -> np.ndarray:
    rows = rng.normal(size=(m, d))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def plain(scaled: np.ndarray, embeddings: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    logits = scaled.astype(np.float64) @ embeddings.astype(np.float64).T
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    best = np.argsort(-logs, axis=1, kind="stable")[:, :k]
    return best, np.take_along_axis(logs, best, axis=1)


@given(st.integers(1, 400), st.integers(1, 7), st.integers(1, 3), st.integers(0, 100), st.floats(0.1, 300))
def test_the_same_as_the_whole_product(m: int, queries: int, threads: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    embeddings, k = unit(rng, m, 16).astype(np.float16), min(m, 5)
    scaled = (scale * unit(rng, queries, 16)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earthclip.locating.gallery.BLOCK", 32)
        found = search(scaled, embeddings, k, threads)
    _, logs = plain(scaled, embeddings, k)
    assert np.abs(found.log_probabilities - logs).max() < 1e-6 * scale + 1e-6
    products = scaled.astype(np.float64) @ embeddings.astype(np.float64).T
    taken = np.take_along_axis(products, found.indices, axis=1)
    assert np.abs(taken - -np.sort(-products, axis=1)[:, :k]).max() < 1e-6 * scale


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_equal_places_come_in_the_gallerys_order(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthclip.locating.gallery.BLOCK", 8)
    rows = unit(np.random.default_rng(0), 10, 8).astype(np.float16)
    embeddings = rows[np.arange(60) % 10]
    found = search(rows[3:4].astype(np.float32), embeddings, 6, threads)
    assert found.indices.tolist() == [[3, 13, 23, 33, 43, 53]]
    assert np.ptp(found.log_probabilities) == 0


def test_large_scores_do_not_overflow() -> None:
    embeddings = unit(np.random.default_rng(1), 5000, 8).astype(np.float16)
    found = search(np.float32(1e6) * embeddings[4321:4322].astype(np.float32), embeddings, 2)
    assert found.indices[0, 0] == 4321
    assert np.exp(found.log_probabilities[0]).tolist() == [1.0, 0.0]


def test_no_query_has_no_answer() -> None:
    found = search(np.empty((0, 8), np.float32), unit(np.random.default_rng(1), 50, 8).astype(np.float16), 3)
    assert found.indices.shape == found.log_probabilities.shape == (0, 3)


def test_a_mapped_gallery_is_read_and_not_copied(tmp_path: object) -> None:
    rows = unit(np.random.default_rng(2), 3000, 4).astype(np.float16)
    path = f"{tmp_path}/rows.npy"
    np.save(path, rows)
    mapped = np.load(path, mmap_mode="r")
    queries = rows[[5, 2999]].astype(np.float32) * 50
    assert np.array_equal(search(queries, mapped, 3).indices, search(queries, rows, 3).indices)


def test_widening_is_exact_for_every_finite_float16() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)].reshape(-1, 8)
    wide = np.empty(finite.shape, np.float32)
    shift(finite, wide)
    wide *= np.float32(BIAS)
    assert np.array_equal(wide.view(np.uint32), finite.astype(np.float32).view(np.uint32))
