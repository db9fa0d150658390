"""What maps show of an answer: its regions as outlines and its probability as cells."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64

from earthclip.geo.cells import MAX_LEVEL, cell_centres, cell_of
from earthclip.locating.posterior import Posterior
from earthclip.locating.prediction import Prediction
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
_DEEPEST = 7  # cells of 51 km
_PLACES_A_CELL = 8  # on average, or the chance by which places fall into cells would show as a pattern
_CORNERS = (3, 2, 0, 1)  # child of a cell that lies in its north, west, south and east


def surface_of(posterior: Posterior) -> dict[str, Any]:
    """The most probable cells that hold 99 %: their level, nested numbers, probabilities, and outlines as (lon, lat).

    The level is the deepest whose occupied cells hold 8 places or more on average. There are ``MAX_CELLS`` at most.
    """
    level, cells = _DEEPEST, cell_of(posterior.coordinates, _DEEPEST)
    while level > 0 and len(np.unique(cells)) * _PLACES_A_CELL > len(cells):
        level, cells = level - 1, cells >> 2
    numbers, which = np.unique(cells, return_inverse=True)
    probabilities = np.bincount(which, posterior.probabilities, len(numbers))
    best = np.argsort(-probabilities, kind="stable")[:MAX_CELLS]
    best = best[: 1 + int(np.searchsorted(np.cumsum(probabilities[best]), _SHOWN))]
    outlines = np.round(cell_outlines(numbers[best], level)[:, :, ::-1], 4)
    return {
        "level": level,
        "cells": numbers[best].tolist(),
        "probabilities": [float(f"{p:.4g}") for p in probabilities[best].tolist()],
        "polygons": outlines.tolist(),
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
    """The object of one answer; ``outlines`` adds the credible regions' geometry, ``surface`` the probability of cells.

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
