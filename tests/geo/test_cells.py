from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.errors import InputError
from earthclip.geo.cells import MAX_LEVEL, cell_area_km2, cell_centres, cell_of, grid
from earthclip.geo.sphere import EARTH_RADIUS_KM, great_circle_km, unit_vectors


@pytest.mark.parametrize("level", [0, 1, 5])
def test_a_grid_holds_every_cell_once(level: int) -> None:
    centres = grid(level)
    assert centres.shape == (12 * 4**level, 2)
    assert centres.dtype == np.float64
    assert ((centres[:, 1] >= -180) & (centres[:, 1] < 180)).all()
    np.testing.assert_array_equal(cell_of(centres, level), np.arange(12 * 4**level))
    np.testing.assert_allclose(unit_vectors(centres).mean(axis=0), 0, atol=1e-12)


def test_known_centres_of_level_0() -> None:
    np.testing.assert_allclose(grid(0)[[0, 4, 8]], [[41.8103149, 45.0], [0.0, 0.0], [-41.8103149, 45.0]], atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 20))
def test_cells_nest_and_are_near_their_centres(latitude: float, longitude: float, level: int) -> None:
    place = np.array([[latitude, longitude]])
    cell = cell_of(place, level)
    assert cell.dtype == np.int64
    assert cell_of(place, level + 1)[0] // 4 == cell[0]
    assert great_circle_km(place, cell_centres(cell, level))[0] < 1.2 * np.sqrt(cell_area_km2(level))


def test_poles_and_the_antimeridian() -> None:
    poles = np.array([[90.0, -180.0], [-90.0, 90.0]])
    assert great_circle_km(cell_centres(cell_of(poles, 10), 10), poles).max() < 10
    seam = np.array([[20.0, 180.0], [20.0, -180.0]])
    assert np.unique(cell_of(seam, 8)).size == 1


def test_areas_add_up_to_the_sphere() -> None:
    assert cell_area_km2(3) * 12 * 4**3 == pytest.approx(4 * np.pi * EARTH_RADIUS_KM**2)
    assert cell_area_km2(0) == pytest.approx(42.5e6, rel=1e-3)


def test_the_deepest_level_tells_metres_apart() -> None:
    cells = cell_of(np.array([[48.0, 11.0], [48.00001, 11.0]]), MAX_LEVEL)
    assert cells[0] != cells[1]
    assert great_circle_km(cell_centres(cells[:1], MAX_LEVEL), np.array([48.0, 11.0]))[0] < 1e-4


@pytest.mark.parametrize("level", [-1, MAX_LEVEL + 1])
def test_levels_beyond_the_range_are_refused(level: int) -> None:
    with pytest.raises(InputError, match=f"level {level} does not exist; choose one from 0 to 29"):
        grid(level)


@pytest.mark.parametrize("cell", [-1, 48])
def test_cells_beyond_the_level_are_refused(cell: int) -> None:
    with pytest.raises(InputError, match=f"cell {cell} does not exist at level 1, which has 0 to 47"):
        cell_centres(np.array([0, cell]), 1)
