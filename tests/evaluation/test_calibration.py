"""Calibration finds the temperature that made the data, and regions keep what they promise on data not fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from earthclip.errors import InputError
from earthclip.evaluation.calibration import (
    TEMPERATURES,
    Evidence,
    best_temperature,
    conformal_masses,
    joined,
    outcomes,
    temperature_losses,
)
from earthclip.evaluation.outcomes import calibration_error
from earthclip.geo.sphere import unit_vectors
from earthclip.locating.gallery import Gallery
from earthclip.models.config import Calibration
from tests.locating.posteriors import lattice

SCALE = 5.0  # natural logarithm


def evidence(n: int, temperature: float, seed: int = 0) -> Evidence:
    """Pictures whose truths are drawn from softmax(logits / temperature) over a lattice of places."""
    rng = np.random.default_rng(seed)
    places = lattice(400.0)
    embeddings = unit_vectors(places).astype(np.float16)
    pictures = rng.normal(size=(n, 3))
    pictures = (pictures / np.linalg.norm(pictures, axis=1, keepdims=True)).astype(np.float32)
    gallery = Gallery(places, embeddings, "none")
    logits = gallery.logits(pictures, SCALE) / temperature
    truths = places[(logits + rng.gumbel(size=logits.shape)).argmax(axis=1)]
    return Evidence(gallery, SCALE, pictures, truths)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_data_is_found(temperature: float) -> None:
    found = best_temperature(temperature_losses(evidence(600, temperature)))
    assert found == pytest.approx(temperature, rel=0.12)


def test_true_probabilities_are_calibrated() -> None:
    plain = outcomes(evidence(600, 2.0), temperature=2.0)
    assert plain.covered.mean(axis=0) == pytest.approx([0.5, 0.9], abs=0.12)  # a little more: cells come whole
    assert (plain.covered.mean(axis=0) > [0.47, 0.87]).all()
    assert calibration_error(plain.held, plain.hit) < 0.08
    sure = outcomes(evidence(600, 2.0), temperature=0.2)
    assert calibration_error(sure.held, sure.hit) > 0.2
    assert sure.covered[:, 1].mean() < 0.8


def test_conformal_masses_keep_the_promise_on_other_pictures() -> None:
    overconfident = 0.4
    fitted = outcomes(evidence(600, 2.0, seed=1), overconfident)
    calibration = Calibration(conformal_masses(fitted.before))
    assert calibration.conformal["0.9"] > 0.9
    held_out = outcomes(evidence(600, 2.0, seed=2), overconfident, calibration)
    assert held_out.covered.mean(axis=0) == pytest.approx([0.5, 0.9], abs=0.06)
    summary = held_out.summary()
    assert summary["n"] == 600
    assert summary["coverage"]["0.9"] == pytest.approx(held_out.covered[:, 1].mean(), abs=1e-4)
    assert summary["median_area_km2"]["0.5"] < summary["median_area_km2"]["0.9"]


def test_the_same_numbers_by_halves() -> None:
    given = evidence(60, 1.0)
    whole = outcomes(given)
    halves = [np.arange(60) < 30, np.arange(60) >= 30]
    assert joined([outcomes(given.take(half)) for half in halves]).summary() == whole.summary()


def test_conformal_ranks() -> None:
    before = np.arange(100) / 100
    # The 91st of 100 has 0.90 before it; the mass is just above, so that its cell belongs.
    found = conformal_masses(before)
    assert found["0.9"] == pytest.approx(0.90) and found["0.9"] > 0.90
    assert found["0.5"] == pytest.approx(0.50)
    assert conformal_masses(np.ones(100))["0.9"] == 1.0
    assert 0 < conformal_masses(np.zeros(100))["0.9"] < 1e-300
    with pytest.raises(InputError, match="8 pictures are too few to promise 90%"):
        conformal_masses(np.zeros(8))


def test_truths_where_no_place_is_cost_but_not_infinitely() -> None:
    given = evidence(40, 1.0)
    few = Gallery(given.gallery.coordinates[:50], given.gallery.embeddings[:50], "none")
    northern = Evidence(few, SCALE, given.embeddings, np.full((40, 2), [-80.0, 10.0]))
    found = outcomes(northern)
    assert np.isfinite(found.loss).all()
    assert (found.before == 1.0).all() and not found.covered.any() and not found.hit.any()


def test_calibration_error_by_hand() -> None:
    promised = np.array([0.95, 0.95, 0.25, 0.25])
    assert calibration_error(promised, np.array([True, True, False, False])) == pytest.approx((0.05 + 0.25) / 2)
    assert calibration_error(np.array([1.0]), np.array([True])) == 0.0


def test_the_best_temperature_stays_in_range() -> None:
    rising = np.tile(np.arange(len(TEMPERATURES), dtype=float), (3, 1))
    assert best_temperature(rising) == pytest.approx(TEMPERATURES[1], rel=1e-3)
    assert best_temperature(-rising) == pytest.approx(TEMPERATURES[-2], rel=1e-3)
    assert best_temperature(rising**2) == pytest.approx(TEMPERATURES[0], rel=0.15)
