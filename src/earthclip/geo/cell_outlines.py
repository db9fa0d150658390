"""Outlines of sets of HEALPix cells on the plate: cells merged, cut at ±180, closed over the poles."""

from __future__ import annotations

import math

import numpy as np
import shapely
from jaxtyping import Float64, Int64
from shapely.geometry import MultiPolygon

from earthclip.geo.antimeridian import cut
from earthclip.geo.cells import cell_boundaries, cell_width_km
from earthclip.geo.geodesy import EARTH_RADIUS_KM

_SIDE_DEG = 1.0  # sides of cells are curves in longitude and latitude: points about so far apart follow them
_POLAR_DEG, _POLAR_POINTS = 75.0, 8  # beyond this latitude they bend more, and take so many times the points


def cell_polygons(cells: Int64[np.ndarray, " r"], level: int) -> MultiPolygon:
    """The area of cells, (longitude, latitude) in degrees: merged, valid, cut at ±180 and closed over the poles."""
    if not len(cells):
        return MultiPolygon()
    width_deg = math.degrees(cell_width_km(level) / EARTH_RADIUS_KM)
    per_side = max(1, round(width_deg / _SIDE_DEG))
    rings = cell_boundaries(cells, level, per_side)
    if np.abs(rings[..., 0]).max() > _POLAR_DEG:
        rings = cell_boundaries(cells, level, _POLAR_POINTS * per_side)
    rings = np.round(rings, 9)[..., ::-1]  # of neighbours the very same points
    at_pole = np.abs(rings[..., 1]) == 90.0
    plain = ~at_pole.any(axis=1)
    polygons = [*shapely.polygons(rings[plain]), *(_over_pole(ring) for ring in rings[~plain])]
    merged = cut(shapely.union_all(np.array(polygons, dtype=object)))
    # Only points that lie on a straight line, to a thousandth of a cell, are left out.
    return cut(shapely.simplify(merged, width_deg / 1000))


def _over_pole(ring: Float64[np.ndarray, "points 2"]) -> shapely.Polygon:
    """A cell with a corner at a pole, which on the plate is an edge from the meridian before to the one after it."""
    corner = int(np.argmax(np.abs(ring[:, 1])))
    before, after = ring[corner - 1, 0], ring[(corner + 1) % len(ring), 0]
    edge = np.array([[before, ring[corner, 1]], [after, ring[corner, 1]]])
    return shapely.Polygon(np.concatenate([ring[:corner], edge, ring[corner + 1 :]]))
