"""Boxes and circles on the globe, as areas in longitude and latitude."""

from __future__ import annotations

import math

import numpy as np
from shapely.geometry import MultiPolygon, box

from earthclip.errors import InputError
from earthclip.geo.antimeridian import WORLD, cut, globe_polygon, polygonal
from earthclip.geo.geodesy import EARTH_RADIUS_KM, destination

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
        fault = degrees_fault(latitude, longitude)
        if fault:
            raise InputError(f"{asked}: {fault}; a box is south,west,north,east in degrees")
    if south >= north:
        raise InputError(f"{asked}: south must lie below north; a box is south,west,north,east in degrees")
    width = east - west if east > west else east - west + 360.0
    if not 0.0 < width < 360.0 and east - west != 360.0:
        raise InputError(f"{asked} has no width; give west and east apart (the whole Earth: -180 and 180)")
    return cut(box(west, south, west + width, north))


def circle_area(latitude: float, longitude: float, radius_km: float) -> MultiPolygon:
    """The area within ``radius_km`` of a place along the ground, by at least 720 points on its edge.

    Raises InputError for degrees off the Earth and radii that are not positive or reach round it (20,015 km).
    """
    asked = f"circle {latitude:g},{longitude:g},{radius_km:g}"
    fault = degrees_fault(latitude, longitude)
    if fault:
        raise InputError(f"{asked}: {fault}; a circle is latitude,longitude,radius in km")
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


def degrees_fault(latitude: float, longitude: float) -> str | None:
    """What is wrong with a pair of degrees, longitude in [-180, 360], as half a sentence; None when nothing is."""
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        return "degrees must be finite numbers"
    if abs(latitude) > 90.0:
        swapped = abs(longitude) <= 90.0 and abs(latitude) <= 360.0
        return f"latitude {latitude:g} is beyond 90" + (" (latitude comes first: swapped?)" if swapped else "")
    if not -180.0 <= longitude <= 360.0:
        return f"longitude {longitude:g} lies outside [-180, 360]"
    return None
