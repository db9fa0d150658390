"""What maps show of an answer: its regions as outlines, and its probability as a surface."""

from __future__ import annotations

import base64
import io
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64
from PIL import Image

from earthclip.geo.cells import MAX_LEVEL, cell_centres, cell_width_km
from earthclip.geo.sphere import EARTH_RADIUS_KM
from earthclip.locating.posterior import Posterior
from earthclip.locating.prediction import Prediction
from earthclip.locating.surface import Surface
from earthclip.locating.trust import cell_masses
from earthclip.outputs.colours import FAINTEST, density_text, strength
from earthclip.outputs.structured import to_object
from earthclip.pictures.prepare import Failure

if TYPE_CHECKING:
    from shapely.geometry import MultiPolygon

_DECIMALS = 6  # of a degree, 0.1 m


def outline(region: Any) -> MultiPolygon | None:
    """A ``CredibleRegion``'s polygons (longitude, latitude), outer rings counter-clockwise, holes clockwise.

    None where its cells were not kept. Source of the order: RFC 7946, section 3.1.6.
    """
    if not len(region.cells):
        return None
    return oriented(region.polygons())


def oriented(shape: Any) -> MultiPolygon | None:
    """The polygons of any geometry, wound by the right-hand rule; None where it has none."""
    import shapely  # here, since it takes 30 ms and most answers are written without outlines
    from shapely.geometry import MultiPolygon, Polygon
    from shapely.geometry.polygon import orient

    parts = [part for part in shapely.get_parts(shape).tolist() if isinstance(part, Polygon) and not part.is_empty]
    return MultiPolygon([orient(part) for part in parts]) if parts else None


def rounded_off(shape: MultiPolygon) -> Any:
    """The outline of cells with its corners cut twice (Chaikin's curve), by an eighth of a cell, for drawing.

    It lies where the cells lie; what is measured or handed on is their own outline. Source: Chaikin, "An algorithm for
    high-speed curve generation", Computer Graphics and Image Processing 3 (1974).
    """
    from shapely.geometry import MultiPolygon, Polygon

    return MultiPolygon([Polygon(_cut(part.exterior), [_cut(hole) for hole in part.interiors]) for part in shape.geoms])


def _cut(ring: Any) -> Float64[np.ndarray, "n 2"]:
    import shapely

    points = shapely.get_coordinates(ring)[:-1]
    for _ in range(2):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1).reshape(-1, 2)
    return np.asarray(points)


def coordinates_of(shape: MultiPolygon) -> list[list[list[list[float]]]]:
    """GeoJSON's coordinates of a MultiPolygon: polygons, rings, [longitude, latitude]."""
    return [[ring_of(ring) for ring in (part.exterior, *part.interiors)] for part in shape.geoms]


def ring_of(ring: Any) -> list[list[float]]:
    """The positions [longitude, latitude] of a closed ring."""
    import shapely

    positions: list[list[float]] = shapely.get_coordinates(ring).round(_DECIMALS).tolist()
    return positions


MAX_CELLS = 2000
_SHOWN = 0.99  # of the probability: the rest would tint most of the Earth, and fill most of a file
_CORNERS = (3, 2, 0, 1)  # child of a cell that lies in its north, west, south and east
_MOST_PIXELS = 1024  # of a side of an image
_DRAWN = 0.999  # of the probability: what is left would not be tinted
_HIGHEST_LATITUDE = 85.0  # on Mercator's map, which has no poles


def surface_of(posterior: Posterior, *, cells: bool = True, fine: bool = True) -> dict[str, Any]:
    """What a map shows of a posterior: ``images`` of the surface, ``fine`` or small; ``most``, its highest density.

    With ``cells`` also the most probable cells that hold 99 %, those that the credible regions are made of: level,
    nested numbers, probabilities, and outlines as (lon, lat); ``MAX_CELLS`` at most.
    """
    surface = Surface.of(posterior, _DRAWN)
    drawn: dict[str, Any] = {}
    if cells:
        found = cell_masses(posterior)
        count = min(found.count(_SHOWN), MAX_CELLS)
        drawn = {
            "level": found.level,
            "cells": found.cells[:count].tolist(),
            "probabilities": [float(f"{p:.4g}") for p in found.masses[:count].tolist()],
            "polygons": np.round(cell_outlines(found.cells[:count], found.level)[:, :, ::-1], 4).tolist(),
        }
    return drawn | {
        "most": density_text(float(surface.densities.max())),
        "images": surface_images(surface, fine=fine),
    }


def surface_images(surface: Surface, *, fine: bool = True) -> list[dict[str, Any]]:
    """The surface on Mercator's map: images that cover it, with their sides in degrees, two where it lies across 180.

    An image is a PNG in a data address, or without ``fine`` a WebP with half as many pixels to a cell, which is a tenth
    as long and off by a few levels of grey. Its grey is the square root of the density, 255 for the highest one.
    """
    highest = float(surface.densities.max())
    shown = surface.cells[surface.densities >= highest * FAINTEST**2]
    latitudes, longitudes = cell_centres(shown, surface.level).T
    margin = np.degrees(2 * cell_width_km(surface.level) / EARTH_RADIUS_KM)
    south, north = np.clip([latitudes.min() - margin, latitudes.max() + margin], -_HIGHEST_LATITUDE, _HIGHEST_LATITUDE)
    wide = margin / max(float(np.cos(np.radians(np.abs(latitudes).max()))), 0.05)
    edges = np.sort(longitudes)
    gaps = np.append(edges[1:], edges[0] + 360.0) - edges
    west = float(edges[(gaps.argmax() + 1) % len(edges)]) - wide
    span = 360.0 - float(gaps.max()) + 2 * wide
    if span >= 300.0:
        pieces = [(-180.0, 180.0)]
    else:
        west = (west + 180.0) % 360.0 - 180.0
        east = west + span
        pieces = [(west, east)] if east <= 180.0 else [(west, 180.0), (-180.0, east - 360.0)]
    cell = np.degrees(cell_width_km(surface.region_level) / EARTH_RADIUS_KM)
    degree = float(max(span / _MOST_PIXELS, cell / (8 if fine else 4)))
    return [_image(surface, highest, (float(south), *sides, float(north)), degree, fine) for sides in pieces]


def _image(
    surface: Surface, highest: float, box: tuple[float, float, float, float], degree: float, fine: bool
) -> dict[str, Any]:
    south, west, east, north = box
    low, high = np.arctanh(np.sin(np.radians([south, north])))  # heights on the map
    width = max(2, round((east - west) / degree))
    height = max(2, min(_MOST_PIXELS, round(float(np.degrees(high - low)) / degree)))
    longitudes = west + (np.arange(width) + 0.5) * (east - west) / width
    heights = high - (np.arange(height) + 0.5) * (high - low) / height
    places = np.stack(np.meshgrid(np.degrees(np.arcsin(np.tanh(heights))), longitudes, indexing="ij"), axis=-1)
    pixel_km = np.radians(degree) * EARTH_RADIUS_KM
    densities = surface.coarser(pixel_km).density(places.reshape(-1, 2)).reshape(height, width)
    shown = strength(densities, highest)
    grey = np.where(shown < FAINTEST, 0, np.round(255 * shown)).astype(np.uint8)
    buffer = io.BytesIO()
    kind, how = ("png", {"optimize": True}) if fine else ("webp", {"quality": 90})
    Image.fromarray(grey).save(buffer, kind, **how)
    address = f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return {"url": address} | {
        name: round(value, 5) for name, value in zip(("south", "west", "east", "north"), box, strict=True)
    }


def cell_outlines(cells: Int64[np.ndarray, " n"], level: int) -> Float64[np.ndarray, "n 4 2"]:
    """North, west, south and east corners of cells, (latitude, longitude) in degrees, to within 12 mm.

    Longitudes go on beyond 180 where a cell lies across it, so that the outline has no jump.
    """
    depth = MAX_LEVEL - level
    # The deepest descendant that is the same child at every step lies in that corner.
    steps = (4**depth - 1) // 3
    corners = np.stack([cell_centres(cells * 4**depth + child * steps, MAX_LEVEL) for child in _CORNERS], axis=1)
    centre = cell_centres(cells, level)[:, None, 1]
    corners[:, :, 1] = centre + (corners[:, :, 1] - centre + 180) % 360 - 180
    return corners


def to_answer(answer: Prediction | Failure, *, outlines: bool = True, surface: bool = False) -> dict[str, Any]:
    """The object of one answer; ``outlines`` adds the credible regions' geometry, ``surface`` what a map shows.

    The geometry is a GeoJSON MultiPolygon. What a Prediction does not have is left out.
    """
    written = to_object(answer)
    if isinstance(answer, Failure):
        return written
    if outlines:
        for row, region in zip(written.get("credible", ()), answer.credible, strict=True):
            if (polygons := outline(region)) is not None:
                row["geometry"] = {"type": "MultiPolygon", "coordinates": coordinates_of(polygons)}
    for photo in written.get("references", ()):  # folders tell names of people and projects
        del photo["path"]
        photo["index"] = PurePath(photo["index"]).name
    if surface and answer.posterior is not None:
        written["surface"] = surface_of(answer.posterior)
    return written
