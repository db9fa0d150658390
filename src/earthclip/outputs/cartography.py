"""What a drawn map is made of: a probability surface, outlines in a projection, a scale bar's length.

The world is drawn in Equal Earth, where areas, and so densities, compare; the neighbourhood of a place in the azimuthal
equidistant projection around it, where a kilometre from the centre is a kilometre on the map.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import shapely
from jaxtyping import Float, Float64

from earthclip.geo.cells import cell_area_km2
from earthclip.geo.countries import country_outlines
from earthclip.geo.equal_earth import equal_earth, inverse_equal_earth
from earthclip.geo.sphere import EARTH_RADIUS_KM, destination, great_circle_km, unit_vectors
from earthclip.locating.posterior import Posterior
from earthclip.locating.surface import Surface

WORLD_X, WORLD_Y = 2.7066, 1.3174  # half width and height of Equal Earth, in Earth radii
Projection = Callable[[np.ndarray], np.ndarray]


def world_surface(surface: Surface, width: int) -> Float64[np.ndarray, "h w"]:
    """Density per km² at each pixel of a world map ``width`` pixels wide, north up; NaN off the map."""
    height = round(width * WORLD_Y / WORLD_X)
    x, y = np.meshgrid(_middles(-WORLD_X, WORLD_X, width), _middles(WORLD_Y, -WORLD_Y, height))
    coordinates = inverse_equal_earth(np.stack([x.ravel(), y.ravel()], axis=1))
    pixel_km = 2 * WORLD_X * EARTH_RADIUS_KM / width
    return surface.coarser(pixel_km).density(coordinates).reshape(height, width)


def local_surface(
    surface: Surface, centre: Float64[np.ndarray, 2], radius_km: float, width: int
) -> Float64[np.ndarray, "w w"]:
    """Density per km² at each pixel of a square map of ``radius_km`` to each side of ``centre``."""
    side = _middles(-radius_km, radius_km, width)
    x, y = np.meshgrid(side, side[::-1])
    bearings = np.degrees(np.arctan2(x, y)).ravel()
    coordinates = destination(np.broadcast_to(centre, (bearings.size, 2)), bearings, np.hypot(x, y).ravel())
    return surface.coarser(2 * radius_km / width).density(coordinates).reshape(width, width)


def azimuthal_km(centre: Float64[np.ndarray, 2]) -> Projection:
    """Degrees [n, 2] to kilometres east and north [n, 2] of ``centre``, by distance and bearing from it.

    Source: Snyder, "Map Projections: A Working Manual" (1987), section 25, for the sphere.
    """
    up = unit_vectors(centre[None])[0]
    longitude = math.radians(centre[1])
    east = np.array([-math.sin(longitude), math.cos(longitude), 0.0])
    north = np.cross(up, east)

    def project(coordinates: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 2"]:
        vectors = unit_vectors(coordinates)
        flat = np.stack([vectors @ east, vectors @ north], axis=1)
        sine = np.linalg.norm(flat, axis=1)
        angle = np.arctan2(sine, vectors @ up)
        return np.asarray(flat * (EARTH_RADIUS_KM * angle / np.maximum(sine, 1e-12))[:, None])

    return project


def projected(shapes: list[shapely.Geometry], project: Projection, step_degrees: float) -> list[np.ndarray]:
    """Rings [n, 2] on the map of polygons in (longitude, latitude); edges are bent every ``step_degrees``."""
    rings = []
    for part in shapely.get_parts(shapely.segmentize(shapely.get_parts(shapes), step_degrees)):
        rings += [project(shapely.get_coordinates(ring)[:, ::-1]) for ring in (part.exterior, *part.interiors)]
    return rings


def borders(shapes: list[shapely.Geometry], project: Projection, step_degrees: float) -> list[np.ndarray]:
    """As ``projected``, but open lines without what only the map's edge made: cuts at 180 degrees and at the poles."""
    lines = []
    for part in shapely.get_parts(shapely.segmentize(shapely.get_parts(shapes), step_degrees)):
        for ring in (part.exterior, *part.interiors):
            points = shapely.get_coordinates(ring)
            edge = (np.abs(points[:, 0]) > 179.999) | (np.abs(points[:, 1]) > 89.9)
            cut = np.flatnonzero(edge[1:] & edge[:-1]) + 1
            lines += [project(piece[:, ::-1]) for piece in np.split(points, cut) if len(piece) > 1]
    return lines


@functools.cache
def outlines(tolerance_degrees: float) -> dict[str, shapely.Geometry]:
    """Country outlines by code, without detail or islands finer than the tolerance."""
    kept = {}
    for code, shape in country_outlines().items():
        parts = shapely.get_parts(shape)
        large = parts[shapely.area(parts) > tolerance_degrees**2]
        if len(large):
            kept[code] = shapely.multipolygons(shapely.simplify(large, tolerance_degrees))
    return {code: shape for code, shape in kept.items() if not shape.is_empty}


def neighbourhood_km(posterior: Posterior, centre: Float64[np.ndarray, " 2"], level: int) -> float:
    """Half the width of a map around ``centre`` that shows 80 % of the probability, or 2,500 km if that is less.

    It is three cells of ``level`` at least, so that the surface has a shape.
    """
    distances = great_circle_km(posterior.coordinates, centre)
    order = np.argsort(distances)
    held = np.cumsum(posterior.probabilities[order])
    reached = float(distances[order[min(int(np.searchsorted(held, 0.8)), len(order) - 1)]])
    return min(max(1.3 * reached, 3.0 * math.sqrt(cell_area_km2(level))), 2500.0)


def scale_bar_km(radius_km: float) -> float:
    """The longest round length (1, 2 or 5 times a power of 10) up to a quarter of a map's width."""
    target = radius_km / 2
    power = 10.0 ** math.floor(math.log10(target))
    return max(step * power for step in (1, 2, 5) if step * power <= target)


def graticule(step_degrees: int) -> list[np.ndarray]:
    """Meridians and parallels [n, 2] of the world map in Equal Earth, one every ``step_degrees``."""
    latitudes, longitudes = np.linspace(-90, 90, 91), np.linspace(-180, 180, 181)
    meridians = [np.stack([latitudes, np.full(91, at)], axis=1) for at in range(-180, 181, step_degrees)]
    parallels = [np.stack([np.full(181, at), longitudes], axis=1) for at in range(-60, 61, step_degrees)]
    return [equal_earth(line) for line in meridians + parallels]


def _middles(first: float, last: float, count: int) -> Float64[np.ndarray, " count"]:
    """Middles of ``count`` pixels between two edges."""
    return np.asarray(first + (np.arange(count) + 0.5) * ((last - first) / count))
