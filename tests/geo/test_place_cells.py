from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.geo.cells import DEEPEST, PlaceCells, cell_of, cosine_of_km
from earthclip.geo.sphere import great_circle_km, local_grid


def random_places(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)], axis=1)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.integers(0, DEEPEST), st.integers(0, 1000))
def test_sums_are_those_of_each_cell(n: int, level: int, seed: int) -> None:
    places = random_places(n, seed)
    values = np.random.default_rng(seed).random(n)
    arranged = PlaceCells.of(places)
    cells, sums = arranged.sums(values, level)
    plain = cell_of(places, level)
    assert np.array_equal(cells, np.unique(plain))
    assert sums == pytest.approx([values[plain == cell].sum() for cell in cells])
    for cell in cells[:5].tolist():
        assert set(arranged.in_cell(cell, level).tolist()) == set(np.flatnonzero(plain == cell).tolist())


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(0, 1000))
def test_own_level_is_the_deepest_shared_one(n: int, seed: int) -> None:
    places = random_places(n, seed)
    found = PlaceCells.of(places).own_level
    for index in range(n):
        shared = [
            level
            for level in range(DEEPEST + 1)
            if (np.delete(cell_of(places, level), index) == cell_of(places[index : index + 1], level)[0]).any()
        ]
        assert found[index] == max(shared, default=0)


def test_one_place_and_two_that_are_the_same() -> None:
    assert PlaceCells.of(np.array([[10.0, 20.0]])).own_level.tolist() == [0]
    assert PlaceCells.of(np.array([[10.0, 20.0], [10.0, 20.0]])).own_level.tolist() == [DEEPEST, DEEPEST]


def test_typical_level_is_a_median_by_weight() -> None:
    arranged = PlaceCells.of(np.array([[10.0, 20.0], [10.0, 20.0], [-50.0, 100.0]]))
    assert arranged.typical_level(np.array([0.6, 0.0, 0.4])) == DEEPEST
    assert arranged.typical_level(np.array([0.4, 0.0, 0.6])) < 4


def test_cosines_tell_who_is_near() -> None:
    places = random_places(500)
    for km in (1.0, 25.0, 750.0, 2500.0, 19000.0, 30000.0):
        near = PlaceCells.of(places).cosines(places[7]) >= cosine_of_km(km)
        assert np.array_equal(near, great_circle_km(places, places[7]) <= km)


@settings(max_examples=100, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 179.99), st.floats(-150, 150), st.floats(-150, 150))
def test_local_points_lie_as_far_and_in_the_direction_asked(lat: float, lon: float, east: float, north: float) -> None:
    centre = np.array([[lat, lon]])
    (found,) = local_grid(centre, np.array([[east, north], [0.0, 0.0]]))
    assert found.shape == (2, 2)
    assert great_circle_km(found[:1], centre)[0] == pytest.approx(np.hypot(east, north), rel=1e-3, abs=1e-6)
    assert great_circle_km(found[1:], centre)[0] < 1e-6
    assert -180 <= found[0, 1] < 180
    if abs(lat) < 80:
        assert found[0, 0] - lat == pytest.approx(north / 111.195, abs=0.15)


def test_local_points_across_the_antimeridian() -> None:
    ((found,),) = local_grid(np.array([[0.0, 179.9]]), np.array([[22.239, 0.0]]))
    assert found == pytest.approx([0.0, -179.9], abs=1e-5)
