"""Outlines of cells hold the cells' ground and nothing else, across the antimeridian and over the poles too."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.geo.cells import cell_area_km2, cell_boundaries, cell_centres, cell_of, cell_width_km, level_of_width
from earthclip.geo.shapes import cell_polygons
from earthclip.geo.sphere import EARTH_RADIUS_KM, great_circle_km, unit_vectors


def area_km2(polygons: shapely.MultiPolygon) -> float:
    """On the sphere, by the plate's strips: exact for edges that are straight in (longitude, sine of latitude)."""
    total = 0.0
    for part in polygons.geoms:
        for ring, sign in ((part.exterior, 1), *((hole, -1) for hole in part.interiors)):
            x, y = np.radians(shapely.get_coordinates(shapely.segmentize(ring, 0.2))).T
            total += sign * abs(((x[1:] - x[:-1]) * (np.sin(y[1:]) + np.sin(y[:-1])) / 2).sum())
    return total * EARTH_RADIUS_KM**2


@pytest.mark.parametrize("level", [0, 1, 3, 6])
def test_boundaries_are_those_of_the_cells(level: int) -> None:
    cells = np.arange(0, 12 * 4**level, max(1, 4**level // 8), dtype=np.int64)
    rings = cell_boundaries(cells, level, 4)
    assert rings.shape == (len(cells), 16, 2)
    centres = cell_centres(cells, level)
    # A step from the boundary towards the centre lies in the cell, a step outwards does not.
    middle, edge = unit_vectors(centres)[:, None], unit_vectors(rings)
    for share, expected in ((0.98, True), (1.02, False)):
        vectors = middle + share * (edge - middle)
        latitude = np.degrees(np.arctan2(vectors[..., 2], np.hypot(vectors[..., 0], vectors[..., 1])))
        longitude = np.degrees(np.arctan2(vectors[..., 1], vectors[..., 0]))
        found = cell_of(np.stack([latitude, longitude], axis=-1).reshape(-1, 2), level).reshape(len(cells), -1)
        assert ((found == cells[:, None]) == expected).mean() > (0.999 if level > 1 else 0.9)


def test_neighbours_share_their_points_exactly() -> None:
    rings = np.round(cell_boundaries(np.arange(12 * 16, dtype=np.int64), 2, 1), 9)
    rings[..., 1] %= 360.0
    points, times = np.unique(rings.reshape(-1, 2)[np.abs(rings.reshape(-1, 2)[:, 0]) < 90], axis=0, return_counts=True)
    assert len(points) == 12 * 16  # as many corners as cells, and the two poles
    assert set(times.tolist()) <= {3, 4}


@settings(max_examples=40, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(10, 1500), st.integers(2, 6))
def test_discs_of_cells(latitude: float, longitude: float, radius_km: float, level: int) -> None:
    every = np.arange(12 * 4**level, dtype=np.int64)
    distance_km = great_circle_km(cell_centres(every, level), np.array([latitude, longitude]))
    cells = every[distance_km <= max(radius_km, float(distance_km.min()))]
    shape = cell_polygons(cells, level)
    assert shape.is_valid and shape.bounds[0] >= -180 and shape.bounds[2] <= 180
    assert abs(shape.bounds[1]) <= 90 and abs(shape.bounds[3]) <= 90
    assert area_km2(shape) == pytest.approx(len(cells) * cell_area_km2(level), rel=0.02)
    inside = cell_centres(cells, level)
    assert shapely.intersects_xy(shape, inside[:, 1], inside[:, 0]).all()  # a centre may lie on the cut at 180
    outside = cell_centres(np.setdiff1d(every, cells), level)
    assert not shapely.contains_xy(shape, outside[:, 1], outside[:, 0]).any()


def test_the_whole_earth_and_nothing() -> None:
    whole = cell_polygons(np.arange(12 * 16, dtype=np.int64), 2)
    assert len(whole.geoms) == 1
    assert whole.equals(shapely.box(-180, -90, 180, 90))
    assert cell_polygons(np.empty(0, np.int64), 4).is_empty


def test_merged_cells_have_few_points() -> None:
    level = 8
    block = np.arange(16 * 4**3, 17 * 4**3, dtype=np.int64)  # one cell of level 5, in 64 pieces
    shape = cell_polygons(block, level)
    assert len(shape.geoms) == 1
    assert len(shape.geoms[0].exterior.coords) <= 33


def test_widths() -> None:
    assert cell_width_km(0) == pytest.approx(6519.6, abs=1)
    for level in (0, 5, 12, 29):
        assert level_of_width(cell_width_km(level)) == level
        assert level_of_width(cell_width_km(level) * 1.01) == max(0, level - 1)
    assert level_of_width(1e9) == 0 and level_of_width(0.0) == 29
