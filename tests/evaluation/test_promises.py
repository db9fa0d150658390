"""Promised probabilities against what was found."""

from __future__ import annotations

import numpy as np
import pytest

from earthclip.evaluation.calibration import calibration_error
from earthclip.evaluation.promises import Promises, calibration_report, joined, promise_of
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.posterior import Posterior
from earthclip.locating.prediction import Prediction
from tests.locating.posteriors import predicted


def promises(held: np.ndarray) -> Promises:
    covered = np.stack([held > 0.5, held > 0.1], axis=1)
    return Promises(held, covered, np.full((len(held), 2), (100.0, 900.0)))


def test_a_model_that_keeps_its_promises() -> None:
    rng = np.random.default_rng(0)
    held = rng.uniform(0, 1, 4000)
    errors = np.where(rng.uniform(0, 1, 4000) < held, 100.0, 1000.0)
    report = calibration_report(promises(held), errors, resamples=200)
    assert report.calibration_error == calibration_error(held, errors <= 200)
    assert report.calibration_error < 0.03
    low, high = report.calibration_error_interval
    assert low < 0.05 and high > low
    assert len(report.curve) == 10
    assert sum(b.n for b in report.curve) == 4000
    for b in report.curve:
        assert b.low <= b.promised < b.high
        assert b.found_interval[0] <= b.found <= b.found_interval[1]
        assert b.found == pytest.approx(b.promised, abs=0.08)
    assert report.promised == pytest.approx(held.mean())
    assert [r.promised for r in report.regions] == [0.5, 0.9]
    assert report.regions[1].found == pytest.approx(0.9, abs=0.02)
    assert report.regions[1].median_area_km2 == 900.0


def test_certain_promises_and_empty_bins() -> None:
    report = calibration_report(promises(np.array([1.0, 1.0, 0.05])), np.array([1.0, 300.0, 300.0]), resamples=10)
    assert [(b.low, b.n, b.found) for b in report.curve] == [(0.0, 1, 0.0), (0.9, 2, 0.5)]
    assert report.calibration_error == pytest.approx((1.0 + 0.05) / 3)


def test_what_one_answer_promised() -> None:
    places = np.array([[10.0, 20.0], [10.5, 20.5], [-40.0, 100.0]])
    posterior = Posterior.from_logits(places, np.log(np.array([0.5, 0.3, 0.2], np.float32)))
    best = predicted(posterior)
    near, far = promise_of(best, np.array([10.0, 20.0])), promise_of(best, np.array([60.0, 0.0]))
    assert near is not None and far is not None
    within = posterior.probabilities[great_circle_km(places, places[0]) <= 200].sum()
    assert near.held == pytest.approx(within)
    assert near.held == pytest.approx(0.8, abs=1e-5)
    assert near.covered == (True, True)
    assert far.covered == (False, False)
    assert near.area_km2[0] <= near.area_km2[1]
    both = joined([near, far])
    assert both.covered.tolist() == [[True, True], [False, False]]
    assert both.held.shape == (2,)


def test_an_answer_without_probabilities_promises_nothing() -> None:
    assert promise_of(Prediction(None, "tiny", np.zeros((1, 2)), np.ones(1)), np.zeros(2)) is None
