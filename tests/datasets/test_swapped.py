from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earthclip.datasets.rows import read_places, swapped_columns
from earthclip.geo.countries import country_codes
from earthclip.geo.sphere import from_unit_vectors

IM2GPS3K = Path(__file__).parents[1] / "data" / "im2gps3k" / "im2gps3k_coordinates.csv"


def test_im2gps3k_is_told_from_its_swapped_copy() -> None:
    places = read_places(IM2GPS3K).coordinates
    assert swapped_columns(places) is None
    assert swapped_columns(places[:, ::-1].copy()) == (
        "latitude and longitude are swapped (1,060 of 2,997 latitudes are beyond 90, no longitude is)"
    )


def test_a_country_is_told_by_land() -> None:
    norway = np.stack([np.linspace(60.1, 61.9, 40), np.linspace(8.0, 11.0, 40)], axis=1)
    assert all(code == "NO" for code in country_codes(norway))
    assert swapped_columns(norway) is None
    assert swapped_columns(norway[:, ::-1].copy()) == (
        "latitude and longitude look swapped (0 % of the places are on land, 100 % when swapped)"
    )


@pytest.mark.parametrize("turned", [False, True])
def test_where_nothing_can_be_told_nothing_is(turned: bool) -> None:
    rng = np.random.default_rng(0)
    ocean = np.stack([rng.uniform(-10, 10, 100), rng.uniform(-30, -15, 100)], axis=1)
    few = np.array([[61.0, 10.0]] * 50)
    egypt_and_turkey = np.stack([rng.uniform(25, 31, 100), rng.uniform(27, 31, 100)], axis=1)
    for places in (ocean, few, egypt_and_turkey, np.empty((0, 2))):
        assert swapped_columns(places[:, ::-1].copy() if turned else places) is None


def test_views_of_the_whole_earth_and_some_typing_errors() -> None:
    everywhere = from_unit_vectors(np.random.default_rng(1).normal(size=(1000, 3)))
    assert swapped_columns(everywhere) is None
    everywhere[::20] = everywhere[::20, ::-1]  # single rows, which are left out one by one
    assert swapped_columns(everywhere) is None
    assert swapped_columns(np.array([[500.0, 500.0]] * 30)) is None
