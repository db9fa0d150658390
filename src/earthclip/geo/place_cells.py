"""Many places arranged for questions about their probabilities: sums over HEALPix cells and over discs.

Arranged once for a gallery, each answer over it costs sums alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from earthclip.geo.cells import cell_of
from earthclip.geo.geodesy import EARTH_RADIUS_KM, unit_vectors

DEEPEST = 12  # cells of 1.6 km: the finest the field's thresholds tell apart


@dataclass(frozen=True, eq=False)
class PlaceCells:
    """Places by their cells: ``order`` [m] sorts them by ``cells`` [m], nested numbers of the deepest level.

    ``own_level`` [m] is the deepest level at which each place shares its cell with another, ``vectors`` [m, 3] are
    unit vectors; these two are in the order of the places.
    """

    order: Int64[np.ndarray, " m"]
    cells: Int64[np.ndarray, " m"]
    own_level: Int64[np.ndarray, " m"]
    vectors: Float64[np.ndarray, "m 3"]

    @classmethod
    def of(cls, coordinates: Float64[np.ndarray, "m 2"]) -> PlaceCells:
        """The cells of places in degrees."""
        unsorted = cell_of(coordinates, DEEPEST)
        order = np.argsort(unsorted, kind="stable")
        cells = unsorted[order]
        # Two bits a level: the highest bit in which neighbours differ tells the level at which they part.
        _, bits = np.frexp((cells[1:] ^ cells[:-1]).astype(np.float64))
        shared = np.concatenate([[0], np.maximum(DEEPEST - (bits + 1) // 2, 0), [0]])
        own_level = np.empty(len(cells), np.int64)
        own_level[order] = np.maximum(shared[1:], shared[:-1])
        return cls(order, cells, own_level, unit_vectors(coordinates))

    def sums(self, values: Float64[np.ndarray, " m"], level: int) -> tuple[np.ndarray, np.ndarray]:
        """The occupied cells of a level up to 12, ascending, and the sum of their places' ``values``, both [r]."""
        cells = self.cells >> (2 * (DEEPEST - level))
        first = np.concatenate([[0], np.flatnonzero(cells[1:] != cells[:-1]) + 1])
        return cells[first], np.add.reduceat(values[self.order], first)

    def in_cell(self, cell: int, level: int) -> Int64[np.ndarray, " r"]:
        """Indices of the places in a cell of a level up to 12."""
        deep = 2 * (DEEPEST - level)
        low, high = np.searchsorted(self.cells, [cell << deep, (cell + 1) << deep])
        return self.order[low:high]

    def typical_level(self, weights: Float64[np.ndarray, " m"]) -> int:
        """The median by ``weights`` of ``own_level``: how fine the places are where the weight is."""
        held = np.cumsum(np.bincount(self.own_level, weights, DEEPEST + 1))
        return int(np.searchsorted(held, held[-1] / 2))

    def cosines(self, place: Float64[np.ndarray, " 2"]) -> Float64[np.ndarray, " m"]:
        """Cosines of the angles between ``place``, in degrees, and each place; see ``cosine_of_km``."""
        return np.asarray(self.vectors @ unit_vectors(place))


def cosine_of_km(distance_km: float) -> float:
    """The cosine of the angle that a distance of at least 0.1 km subtends; it falls as distances grow."""
    return math.cos(min(distance_km / EARTH_RADIUS_KM, math.pi))
