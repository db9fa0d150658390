"""Interpolation between the centres of HEALPix cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthclip.geo.cells import cell_centres, cell_of
from earthclip.geo.interpolation import interpolation
from earthclip.geo.sphere import unit_vectors

latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180, exclude_max=True)


def sphere(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)], axis=1)


@given(latitudes, longitudes, st.integers(0, 12))
def test_weights_are_shares_of_cells_that_exist(latitude: float, longitude: float, level: int) -> None:
    cells, weights = interpolation(np.array([[latitude, longitude]]), level)
    assert (weights >= 0).all() and weights.sum() == pytest.approx(1, abs=1e-12)
    assert ((cells >= 0) & (cells < 12 * 4**level)).all()


def test_a_smooth_field_is_met() -> None:
    places = sphere(5000)
    cells, weights = interpolation(places, 6)
    centres = unit_vectors(cell_centres(cells.ravel(), 6)).reshape(-1, 4, 3)
    assert np.abs((centres * weights[..., None]).sum(axis=1) - unit_vectors(places)).max() < 0.01


def test_at_a_centre_its_cell_alone_counts() -> None:
    chosen = np.arange(0, 12 * 4**5, 7)
    cells, weights = interpolation(cell_centres(chosen, 5), 5)
    assert (np.where(cells == chosen[:, None], weights, 0.0).sum(axis=1) > 1 - 1e-6).all()


def test_it_has_no_steps() -> None:
    values = np.random.default_rng(1).normal(size=12 * 4**3)
    places = sphere(2000)

    def at(coordinates: np.ndarray) -> np.ndarray:
        cells, weights = interpolation(coordinates, 3)
        return np.vecdot(values[cells], weights)

    places = places[np.abs(places[:, 0]) < 85]
    assert np.abs(at(places) - at(places + 1e-7)).max() < 1e-6
    assert len(np.unique(cell_of(places, 3))) > 500
