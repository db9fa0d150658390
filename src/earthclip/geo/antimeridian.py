"""Polygons on the globe as polygons on the plate: cut where longitude jumps, closed over the poles.

Plane geometry (x longitude, y latitude, degrees) knows neither that -180 and 180 are one meridian nor that the edge at
90 is one point. Rings are therefore followed without jumps, whatever their longitudes become, and cut afterwards into
[-180, 180], as RFC 7946 section 3.1.9 asks.
"""

from __future__ import annotations

import numpy as np
import shapely
from jaxtyping import Num
from shapely.affinity import translate
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from earthclip.errors import InputError

WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)


def globe_polygon(ring: Num[np.ndarray, "n 2"], pole: float | None = None) -> MultiPolygon:
    """The area inside a ring of (longitude, latitude) in which each step takes the shorter way round, cut at ±180.

    A ring that goes once round the Earth encloses ``pole`` (latitude 90 or -90), else the one nearer to it. Raises
    InputError for fewer than three different points.
    """
    if len(np.unique(ring, axis=0)) < 3:
        raise InputError("a polygon needs three different points at least; give more, or a circle 'lat,lon,km'")
    closed = np.concatenate([ring, ring[:1]]) if (ring[0] != ring[-1]).any() else np.asarray(ring)
    steps = np.diff(closed[:, 0])
    longitude = closed[0, 0] + np.concatenate([[0.0], np.cumsum(steps - 360.0 * np.round(steps / 360.0))])
    points = np.stack([longitude, closed[:, 1]], axis=1)
    if abs(longitude[-1] - longitude[0]) > 180.0:
        if pole is None:
            pole = 90.0 if points[:, 1].mean() > 0 else -90.0
        once = np.array([np.copysign(360.0, longitude[-1] - longitude[0]), 0.0])
        # Three times round, so that the ends, which rounding keeps apart, lie off the plate.
        points = np.concatenate([points[:-1] - once, points[:-1], points[:-1] + once])
        points = np.concatenate([points, [[points[-1, 0], pole], [points[0, 0], pole], points[0]]])
        return polygonal(polygonal(shapely.polygons(points)).intersection(WORLD))
    return cut(shapely.polygons(points))


def cut(geometry: BaseGeometry) -> MultiPolygon:
    """A polygonal geometry with any longitudes as a valid MultiPolygon in [-180, 180] by [-90, 90]."""
    geometry = polygonal(geometry)
    west, _, east, _ = geometry.bounds if not geometry.is_empty else (0.0, 0.0, 0.0, 0.0)
    if west >= -180.0 and east <= 180.0:
        return polygonal(geometry.intersection(WORLD)) if _beyond_poles(geometry) else geometry
    turns = range(int(np.floor((west + 180.0) / 360.0)), int(np.ceil((east + 180.0) / 360.0)))
    pieces = [translate(geometry, xoff=-360.0 * turn).intersection(WORLD) for turn in turns]
    return polygonal(shapely.union_all(pieces))


def polygonal(geometry: BaseGeometry) -> MultiPolygon:
    """The areas of a geometry, valid (a bow tie becomes its two triangles); points and lines are left out."""
    parts = shapely.get_parts(shapely.get_parts(np.atleast_1d(geometry)))  # twice: a collection of multi-polygons
    if geometry.geom_type in ("Polygon", "MultiPolygon") and geometry.is_valid:
        return MultiPolygon(list(parts))
    parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(parts)))
    areas = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    return MultiPolygon(list(shapely.get_parts(shapely.union_all(areas))))


def _beyond_poles(geometry: BaseGeometry) -> bool:
    return not geometry.is_empty and bool(geometry.bounds[1] < -90.0 or geometry.bounds[3] > 90.0)
