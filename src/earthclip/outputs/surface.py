"""A posterior as equal-area cells with their outlines, few enough to draw on a map."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from earthclip.geo.cells import MAX_LEVEL, cell_centres, cell_of
from earthclip.posterior import Posterior

MAX_CELLS = 2000
_DEEPEST = 7  # cells of 51 km
_PLACES_A_CELL = 8  # on average, or the chance by which places fall into cells would show as a pattern
_CORNERS = (3, 2, 0, 1)  # child of a cell that lies in its north, west, south and east


def surface_of(posterior: Posterior) -> dict[str, Any]:
    """The ``MAX_CELLS`` most probable cells: their level, nested numbers, probabilities, and outlines as (lon, lat).

    The level is the deepest whose occupied cells hold 8 places or more on average.
    """
    level, cells = _DEEPEST, cell_of(posterior.coordinates, _DEEPEST)
    while level > 0 and len(np.unique(cells)) * _PLACES_A_CELL > len(cells):
        level, cells = level - 1, cells >> 2
    numbers, which = np.unique(cells, return_inverse=True)
    probabilities = np.bincount(which, posterior.probabilities, len(numbers))
    best = np.argsort(-probabilities, kind="stable")[:MAX_CELLS]
    best = best[probabilities[best] > 0]
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
