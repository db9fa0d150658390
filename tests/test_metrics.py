from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.errors import InputError
from earthclip.metrics import THRESHOLDS_KM, Intervals, Report, bootstrap, bootstrap_curve, resampled_rows


def test_a_report_by_hand() -> None:
    report = Report.from_errors(np.array([0.0, 1.0, 25.0, 1492.7, 3000.0]))
    assert report.n == 5
    assert report.accuracy == {"1": 0.4, "25": 0.6, "200": 0.6, "750": 0.6, "2500": 0.8}
    assert report.median_km == 25.0
    assert report.mean_km == pytest.approx(903.74)
    expected = 1000 * (1 + np.exp(-1 / 1492.7) + np.exp(-25 / 1492.7) + np.exp(-1) + np.exp(-3000 / 1492.7))
    assert report.geoscore == pytest.approx(expected)


def test_perfect_answers() -> None:
    report = Report.from_errors(np.zeros(3))
    assert set(report.accuracy.values()) == {1.0}
    assert (report.median_km, report.mean_km, report.geoscore) == (0.0, 0.0, 5000.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 20_038), min_size=1, max_size=30))
def test_accuracy_grows_with_the_threshold_and_order_does_not_matter(errors: list[float]) -> None:
    report = Report.from_errors(np.array(errors))
    shares = list(report.accuracy.values())
    assert list(report.accuracy) == [str(km) for km in THRESHOLDS_KM]
    assert shares == sorted(shares)
    assert 0 <= report.geoscore <= 5000
    again = Report.from_errors(np.array(sorted(errors)))
    assert again.accuracy == report.accuracy
    assert again.geoscore == pytest.approx(report.geoscore)


def test_json_has_the_promised_keys_and_returns() -> None:
    report = Report.from_errors(np.array([10.0, 100.0]))
    plain = json.loads(report.to_json())
    assert list(plain) == ["n", "accuracy", "median_km", "mean_km", "geoscore"]
    assert Report(**plain) == report


def test_nothing_to_report_on() -> None:
    with pytest.raises(InputError, match=r"no pictures to report on; expected at least one located picture"):
        Report.from_errors(np.array([]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_distances_that_are_none(bad: float) -> None:
    with pytest.raises(InputError, match=r"error 1 is .* expected finite distances"):
        Report.from_errors(np.array([1.0, bad]))


def test_bootstrap_is_the_report_of_each_resample() -> None:
    errors = np.random.default_rng(3).gamma(0.4, 2000.0, 57)
    figures = bootstrap(errors[None], resamples=20, seed=5)[0]
    (first, rows), *more = resampled_rows(57, 20, 5)
    assert (first, more) == (0, [])
    for found, chosen in zip(figures, rows, strict=True):
        report = Report.from_errors(errors[chosen])
        expected = [*report.accuracy.values(), report.median_km, report.mean_km, report.geoscore]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_resamples_of_many_pictures_come_in_chunks() -> None:
    chunks = list(resampled_rows(1_500_000, 3, 0))
    assert [first for first, _ in chunks] == [0, 1, 2]
    assert all(rows.shape == (1, 1_500_000) for _, rows in chunks)


def test_intervals_hold_the_figure_and_repeat() -> None:
    errors = np.random.default_rng(0).gamma(0.4, 2000.0, 400)
    report, intervals = Report.from_errors(errors), Intervals.from_errors(errors, seed=1)
    assert intervals == Intervals.from_errors(errors, seed=1)
    assert intervals != Intervals.from_errors(errors, seed=2)
    for km, (low, high) in intervals.accuracy.items():
        assert low < report.accuracy[km] < high
    assert intervals.median_km[0] < report.median_km < intervals.median_km[1]
    assert intervals.mean_km[0] < report.mean_km < intervals.mean_km[1]
    assert intervals.geoscore[0] < report.geoscore < intervals.geoscore[1]


def test_intervals_are_as_wide_as_theory_says() -> None:
    errors = np.where(np.arange(1000) < 300, 0.5, 5000.0)
    low, high = Intervals.from_errors(errors).accuracy["1"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 1000), rel=0.1)


def test_one_picture_has_intervals_without_width() -> None:
    intervals = Intervals.from_errors(np.array([10.0]), resamples=5)
    assert intervals.median_km == (10.0, 10.0)
    assert intervals.accuracy["1"] == (0.0, 0.0)


def test_a_bootstrapped_curve_rises_to_one_and_its_mean_is_the_curve() -> None:
    errors = np.random.default_rng(0).uniform(0, 1000, 300)
    at_km = np.array([10.0, 500.0, 900.0, 1000.0])
    curves = bootstrap_curve(errors, at_km, resamples=2000)
    assert curves.shape == (2000, 4)
    assert (np.diff(curves, axis=1) >= 0).all()
    assert (curves[:, -1] == 1).all()
    expected = [np.mean(errors <= km) for km in at_km]
    np.testing.assert_allclose(curves.mean(axis=0), expected, atol=0.01)


def test_a_picture_exactly_at_a_distance_is_within_it() -> None:
    assert (bootstrap_curve(np.array([25.0]), np.array([1.0, 25.0, 200.0]), 3) == [0, 1, 1]).all()
