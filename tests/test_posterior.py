"""The posterior is a distribution whatever the scores, and its summaries agree with their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from earthclip.errors import InputError
from earthclip.posterior import Posterior

LOGITS = npst.arrays(np.float32, st.integers(1, 60), elements=st.floats(-(2.0**16), 2.0**16, width=32, allow_nan=False))
TEMPERATURES = st.floats(1e-3, 1e3)


def posterior(logits: np.ndarray, temperature: float = 1.0) -> Posterior:
    places = np.random.default_rng(0).uniform((-90, -180), (90, 180), (len(logits), 2))
    return Posterior.from_logits(places, logits, temperature)


@given(LOGITS, TEMPERATURES)
def test_sums_to_one_and_keeps_the_order(logits: np.ndarray, temperature: float) -> None:
    found = posterior(logits, temperature)
    assert found.log_probabilities.dtype == np.float64
    assert found.probabilities.sum() == pytest.approx(1.0, abs=1e-12)
    order = np.argsort(logits)
    assert (np.diff(found.log_probabilities[order]) >= 0).all()


@given(LOGITS, TEMPERATURES, st.floats(-1e4, 1e4))
def test_a_constant_on_all_scores_changes_nothing(logits: np.ndarray, temperature: float, constant: float) -> None:
    scores = logits.astype(np.float64)
    shifted = posterior(scores + constant, temperature).probabilities
    assert np.allclose(shifted, posterior(scores, temperature).probabilities, atol=1e-6)


def test_values() -> None:
    found = posterior(np.log(np.array([1.0, 3.0, 4.0])))
    assert found.probabilities == pytest.approx([0.125, 0.375, 0.5])
    warm = posterior(np.log(np.array([1.0, 3.0, 4.0])), temperature=2.0)
    weights = np.sqrt([1.0, 3.0, 4.0])
    assert warm.probabilities == pytest.approx(weights / weights.sum())
    assert found.entropy() == pytest.approx(-(0.125 * np.log(0.125) + 0.375 * np.log(0.375) + 0.5 * np.log(0.5)))


@given(LOGITS, st.data())
def test_top_k_is_the_head_of_a_stable_sort(logits: np.ndarray, data: st.DataObject) -> None:
    found = posterior(np.round(logits / 2.0**12))  # rounded, so that scores tie
    k = data.draw(st.integers(1, len(logits)))
    coordinates, probabilities = found.top_k(k)
    expected = np.argsort(-found.log_probabilities, kind="stable")[:k]
    assert np.array_equal(coordinates, found.coordinates[expected])
    assert np.array_equal(probabilities, found.probabilities[expected])


@given(LOGITS, st.floats(1e-3, 1.0))
def test_credible_region_is_the_smallest_that_holds_the_mass(logits: np.ndarray, mass: float) -> None:
    found = posterior(logits, 100.0)
    region = found.credible_region(mass)
    held = found.probabilities[region]
    assert held.sum() >= mass - 1e-9
    assert held[:-1].sum() < mass + 1e-9
    outside = np.delete(found.probabilities, region)
    assert outside.size == 0 or outside.max() <= held.min() + 1e-15


@given(LOGITS)
def test_entropy_lies_between_certain_and_uniform(logits: np.ndarray) -> None:
    assert 0.0 <= posterior(logits).entropy() <= np.log(len(logits)) + 1e-9
    assert posterior(np.zeros_like(logits)).entropy() == pytest.approx(np.log(len(logits)))


def test_impossible_values_are_refused() -> None:
    found = posterior(np.zeros(4))
    for k in (0, -1, 5):
        with pytest.raises(InputError, match=rf"top_k is {k}; expected 1 to 4"):
            found.top_k(k)
    for mass in (0.0, 1.5, float("nan")):
        with pytest.raises(InputError, match="mass"):
            found.credible_region(mass)
    for temperature in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="temperature"):
            posterior(np.zeros(4), temperature)
    for logits in (np.zeros(0), np.array([0.0, np.nan]), np.array([np.inf, 0.0])):
        with pytest.raises(InputError, match="finite score"):
            posterior(logits)
