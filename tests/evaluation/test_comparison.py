from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.evaluation.comparison import compare, exact_p_value
from earthclip.metrics import Intervals


def test_counts_and_differences_by_hand() -> None:
    first, second = np.array([0.5, 10.0, 100.0, 5000.0]), np.array([20.0, 10.0, 0.5, 100.0])
    found = compare(("a", "b"), first, second, resamples=50)
    at_25 = found.agreement["25"]
    assert (at_25.both, at_25.only_first, at_25.only_second, at_25.neither) == (2, 0, 1, 1)
    assert found.accuracy["200"] == pytest.approx(-0.25)
    assert found.median_km == pytest.approx(55.0 - 15.0)
    assert found.mean_km == pytest.approx(np.mean(first) - np.mean(second))
    assert found.geoscore < 0
    assert found.names == ("a", "b")


def test_a_system_against_itself_differs_by_nothing() -> None:
    errors = np.random.default_rng(0).gamma(0.5, 1000.0, 80)
    found = compare(("a", "a"), errors, errors.copy())
    assert set(found.intervals.accuracy.values()) == {(0.0, 0.0)}
    assert found.intervals.mean_km == (0.0, 0.0)
    assert {agreement.p_value for agreement in found.agreement.values()} == {1.0}


def test_paired_intervals_are_narrower_than_the_systems_own() -> None:
    errors = np.random.default_rng(0).gamma(0.5, 1000.0, 500)
    found = compare(("a", "b"), errors, errors * 1.1)
    own = Intervals.from_errors(errors)
    assert found.intervals.mean_km[1] < 0  # the first is better, and surely so
    assert found.intervals.mean_km[1] - found.intervals.mean_km[0] < 0.2 * (own.mean_km[1] - own.mean_km[0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_the_exact_test_against_whole_numbers(first: int, second: int) -> None:
    n = first + second
    tail = sum(comb(n, k) for k in range(min(first, second) + 1))
    assert exact_p_value(first, second) == pytest.approx(min(1.0, 2 * tail / 2**n))


def test_the_exact_test_of_many() -> None:
    assert exact_p_value(3000, 3000) == 1.0
    assert 0 <= exact_p_value(500, 4000) < 1e-12
