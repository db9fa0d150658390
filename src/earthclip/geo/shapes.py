"""Polygons on the sphere, cut at the antimeridian and closed over poles: circles, boxes, merged cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import shapely
from jaxtyping import Float64, Int64, Num
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, box
from shapely.geometry.base import BaseGeometry

from earthclip.errors import InputError
from earthclip.geo.cells import cell_boundaries, cell_width_km
from earthclip.geo.sphere import EARTH_RADIUS_KM, degrees_fault, destination

WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)


def globe_polygon(ring: Num[np.ndarray, "n 2"], pole: float | None = None) -> MultiPolygon:
    """The area inside a ring of (longitude, latitude) in which each step takes the shorter way round, cut at ±180.

    A ring that goes once round the Earth encloses ``pole`` (latitude 90 or -90), else the one nearer to it. Raises
    InputError for fewer than three different points.
    """
    if len(np.unique(ring, axis=0)) < 3:
        raise InputError("a polygon needs at least three different points; give more, or a circle 'lat,lon,km'")
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


_QUARTER_KM = EARTH_RADIUS_KM * math.pi / 2  # from a pole to the equator
_BEARINGS_DEG = np.unique(  # close to the meridian, where a circle that passes near a pole turns quickest
    np.concatenate([np.arange(0.0, 360.0, 0.5), *([b, 360.0 - b, 180.0 - b, 180.0 + b] for b in np.logspace(-6, -0.4))])
)


def box_area(south: float, west: float, north: float, east: float) -> MultiPolygon:
    """The area between two parallels and two meridians, in degrees; west > east goes across the antimeridian.

    Raises InputError for degrees off the Earth, south at or above north, and boxes without width.
    """
    asked = f"box {south:g},{west:g},{north:g},{east:g}"
    for latitude, longitude in ((south, west), (north, east)):
        if fault := _edge_fault(latitude, longitude):
            raise InputError(f"{asked}: {fault} (a box is south,west,north,east in degrees)")
    if south >= north:
        raise InputError(f"{asked}: south must lie below north; a box is south,west,north,east in degrees")
    width = east - west if east > west else east - west + 360.0
    if not 0.0 < width < 360.0 and east - west != 360.0:
        raise InputError(f"{asked} has no width; west and east must differ (for the whole Earth: -180 and 180)")
    return cut(box(west, south, west + width, north))


def circle_area(latitude: float, longitude: float, radius_km: float) -> MultiPolygon:
    """The area within ``radius_km`` of a place along the ground, by at least 720 points on its edge.

    Raises InputError for degrees off the Earth and radii that are not positive or reach round it (20,015 km).
    """
    asked = f"circle {latitude:g},{longitude:g},{radius_km:g}"
    if fault := _edge_fault(latitude, longitude):
        raise InputError(f"{asked}: {fault} (a circle is latitude,longitude,radius in km)")
    if not 0.0 < radius_km < 2 * _QUARTER_KM:
        raise InputError(f"{asked}: the radius must lie between 0 and {2 * _QUARTER_KM:.0f} km")
    if radius_km > _QUARTER_KM:  # as its complement, which holds fewer poles
        rest = circle_area(-latitude, longitude + (180.0 if longitude < 0 else -180.0), 2 * _QUARTER_KM - radius_km)
        return polygonal(WORLD.difference(rest))
    to_pole_km = math.radians(90.0 - abs(latitude)) * EARTH_RADIUS_KM
    if abs(radius_km - to_pole_km) < 1e-3:
        radius_km = min(to_pole_km + 1e-3, _QUARTER_KM)  # an edge through the pole itself has no side there
    centre = np.tile([[latitude, longitude]], (len(_BEARINGS_DEG), 1))
    edge = destination(centre, _BEARINGS_DEG, np.full(len(_BEARINGS_DEG), radius_km))[:, ::-1]
    return globe_polygon(edge, pole=math.copysign(90.0, latitude))


def _edge_fault(latitude: float, longitude: float) -> str | None:
    """As ``degrees_fault``, but 360 is an edge too, as in a box from 0 to 360."""
    return degrees_fault(latitude, 0.0 if longitude == 360.0 else longitude)


_SIDE_DEG = 1.0  # sides of cells are curves in longitude and latitude: points about so far apart follow them
_POLAR_DEG, _POLAR_POINTS = 75.0, 8  # beyond this latitude they bend more, and take this many times the points


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
    rings[rings[..., 0].min(axis=1) >= 180.0, :, 0] -= 360.0  # so that only those across ±180 have to be cut
    at_pole = np.abs(rings[..., 1]) == 90.0
    plain = ~at_pole.any(axis=1)
    polygons = [*shapely.polygons(rings[plain]), *(_over_pole(ring) for ring in rings[~plain])]
    merged = cut(_merged(np.array(polygons, dtype=object)))
    # Only points that lie on a straight line, to a thousandth of a cell, are left out.
    return cut(shapely.simplify(merged, width_deg / 1000))


def _merged(polygons: Any) -> BaseGeometry:
    try:
        # Relies on neighbours having the same points on their sides, and takes a sixth of union_all's time.
        return shapely.coverage_union_all(polygons)
    except shapely.GEOSException:  # at poles, and where rings of cells touch themselves in a corner
        return shapely.union_all(polygons)


def _over_pole(ring: Float64[np.ndarray, "points 2"]) -> shapely.Polygon:
    """A cell with a corner at a pole, which on the plate is an edge from the meridian before to the one after it."""
    corner = int(np.argmax(np.abs(ring[:, 1])))
    before, after = ring[corner - 1, 0], ring[(corner + 1) % len(ring), 0]
    edge = np.array([[before, ring[corner, 1]], [after, ring[corner, 1]]])
    return shapely.Polygon(np.concatenate([ring[:corner], edge, ring[corner + 1 :]]))
