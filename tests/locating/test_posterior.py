"""The posterior is a distribution whatever the scores, and its summaries agree with their definitions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from earthclip.errors import InputError
from earthclip.locating.posterior import Posterior

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


@dataclass
class Half:
    """Everything east, or west, of the prime meridian."""

    sign: int
    name: str = "half"

    fingerprint = "made for a test"

    def contains(self, coordinates: np.ndarray) -> np.ndarray:
        return self.sign * coordinates[:, 1] > 0


@given(LOGITS)
def test_within_is_the_conditional_distribution(logits: np.ndarray) -> None:
    found = posterior(logits / 1e3)
    east = Half(1).contains(found.coordinates)
    if not east.any():
        return
    inside = found.within(Half(1))
    assert inside.probabilities.sum() == pytest.approx(1.0)
    assert (inside.probabilities[~east] == 0).all()
    weight = found.probabilities[east].sum()
    if weight > 1e-200:
        assert inside.probabilities[east] == pytest.approx(found.probabilities[east] / weight, abs=1e-9)
    places, probabilities = inside.top_k(len(logits))
    assert len(places) == len(probabilities) == east.sum()
    assert Half(1).contains(places).all()
    assert 0.0 <= inside.entropy() <= np.log(east.sum()) + 1e-9
    assert set(inside.credible_region(0.9).tolist()) <= set(np.flatnonzero(east).tolist())


def test_a_region_without_places_is_named() -> None:
    east = Posterior.from_logits(np.array([[0.0, 10.0], [5.0, 20.0]]), np.zeros(2))
    with pytest.raises(InputError, match="region 'half' holds none of the 2 places the model knows; choose a larger"):
        east.within(Half(-1))
    assert np.array_equal(east.within(Half(1)).probabilities, east.probabilities)


@given(LOGITS, st.integers(0, 100))
def test_reweighting_is_a_product(logits: np.ndarray, seed: int) -> None:
    found = posterior(logits / 1e4)
    weights = np.random.default_rng(seed).uniform(0.1, 3.0, len(logits))
    expected = found.probabilities * weights
    assert found.reweighted(np.log(weights)).probabilities == pytest.approx(expected / expected.sum())


def test_impossible_priors_are_refused() -> None:
    found = posterior(np.zeros(3))
    assert found.reweighted(np.array([0.0, -np.inf, 0.0])).probabilities == pytest.approx([0.5, 0.0, 0.5])
    for wrong in (np.zeros(2), np.array([0.0, np.nan, 0.0]), np.array([0.0, np.inf, 0.0])):
        with pytest.raises(InputError, match="one number below infinity for each of 3 places"):
            found.reweighted(wrong)
    with pytest.raises(InputError, match="rules out every place"):
        found.reweighted(np.full(3, -np.inf))


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
