from __future__ import annotations

import numpy as np
import pytest

from earthclip.evaluation.measured import by_continent, by_country, countries_of
from earthclip.metrics import Report

PLACES = np.array(
    [[48.85, 2.35], [45.76, 4.84], [52.52, 13.40], [35.68, 139.69], [0.0, -150.0], [40.763169, -73.945257]]
)


def test_countries_of_places_on_land_at_the_shore_and_at_sea() -> None:
    assert countries_of(PLACES) == ["FR", "FR", "DE", "JP", None, "US"]
    assert countries_of(PLACES[:0]) == []


def test_groups_add_up() -> None:
    errors = np.array([0.5, 30.0, 100.0, 3000.0, 9000.0, 1.0])
    codes = countries_of(PLACES)
    countries = by_country(codes, errors, resamples=20)
    assert [(group.code, group.name, group.report.n) for group in countries] == [
        ("FR", "France", 2),
        ("DE", "Germany", 1),
        ("JP", "Japan", 1),
        ("US", "United States", 1),
        (None, "at sea", 1),
    ]
    assert countries[0].report == Report.from_errors(errors[:2])
    assert countries[0].intervals.mean_km == pytest.approx((0.5, 30.0))
    continents = by_continent(codes, errors, resamples=20)
    assert [(group.code, group.report.n) for group in continents] == [("EU", 3), ("AS", 1), ("NA", 1), (None, 1)]
    assert sum(group.report.n for group in continents) == len(errors)
    total = sum(group.report.n * group.report.mean_km for group in countries)
    assert total / len(errors) == pytest.approx(errors.mean())
