from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.errors import InputError
from earthclip.metrics import THRESHOLDS_KM, Report


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
    with pytest.raises(InputError, match=r"at least one located picture, found none"):
        Report.from_errors(np.array([]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_distances_that_are_none(bad: float) -> None:
    with pytest.raises(InputError, match=r"error 1 is .* expected finite distances"):
        Report.from_errors(np.array([1.0, bad]))
