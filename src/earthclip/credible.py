"""Where the truth probably lies: the smallest set of equal-area cells that holds 50 or 90 % of the probability.

A place of the gallery stands for the ground around it, so regions are made of HEALPix cells, no finer than the places
lie apart, and have an area and an outline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from earthclip.errors import InputError
from earthclip.geo.cells import cell_area_km2
from earthclip.posterior import Posterior

if TYPE_CHECKING:
    from shapely.geometry import MultiPolygon

_MOST_CELLS = 500  # that may hold _MOST_HELD: more are specks on a map, and say no more than coarser ones
_MOST_HELD = 0.9


@dataclass(frozen=True, eq=False)
class CredibleRegion:
    """The fewest HEALPix cells of a level that hold ``mass`` of the probability, most probable first.

    ``cells`` [r] are nested numbers; ``area_km2`` is that of all cells, sea within them included.
    """

    mass: float
    level: int
    cells: Int64[np.ndarray, " r"]
    area_km2: float

    def polygons(self) -> MultiPolygon:
        """The outline, (longitude, latitude) in degrees: cells merged, cut at ±180, closed over the poles."""
        from earthclip.geo.cell_outlines import cell_polygons  # shapely takes longer to start than an answer may

        return cell_polygons(self.cells, self.level)


@dataclass(frozen=True, eq=False)
class CellMasses:
    """The ``cells`` [r] of a level that hold probability, most probable first, and how much, ``masses`` [r]."""

    level: int
    cells: Int64[np.ndarray, " r"]
    masses: Float64[np.ndarray, " r"]
    before: Float64[np.ndarray, " r"] = field(repr=False)  # what the cells before each one hold

    def count(self, mass: float) -> int:
        """How many of the first cells it takes to hold ``mass``; one at least."""
        return max(1, int(np.searchsorted(self.before, min(mass, 1.0 - 1e-12))))


def credible_regions(posterior: Posterior, masses: Sequence[float] = (0.5, 0.9)) -> list[CredibleRegion]:
    """The smallest region of cells for each of ``masses``, in their order.

    Of a calibrated model, a region holds as much of the posterior as it took for the truth to lie in so many regions
    (split conformal prediction: Angelopoulos and Bates, arXiv 2107.07511, section 1). Raises InputError for masses
    outside (0, 1].
    """
    for mass in masses:
        if not 0 < mass <= 1:
            raise InputError(f"mass must be above 0 and at most 1, found {mass}")
    found = cell_masses(posterior)
    area_km2 = cell_area_km2(found.level)
    regions = []
    for mass in masses:
        wanted = posterior.calibration.mass_for(mass) if posterior.calibration else mass
        count = found.count(wanted)
        regions.append(CredibleRegion(float(mass), found.level, found.cells[:count], count * area_km2))
    return regions


def cell_masses(posterior: Posterior, level: int | None = None) -> CellMasses:
    """The posterior as probabilities of cells, of ``level`` or else of the one that suits it.

    That is the level at which the places that hold the probability typically share their cells with others, or a
    coarser one, until 500 cells hold 90 %.
    """
    chosen = posterior.place_cells.typical_level(posterior.probabilities) if level is None else level
    found = _masses_at(posterior, chosen)
    while level is None and chosen > 0 and found.count(_MOST_HELD) > _MOST_CELLS:
        chosen -= 1
        found = _masses_at(posterior, chosen)
    return found


def _masses_at(posterior: Posterior, level: int) -> CellMasses:
    cells, masses = posterior.place_cells.sums(posterior.probabilities, level)
    best = np.argsort(-masses)  # not stable, in a quarter of the time
    best = best[masses[best] > 0]
    masses = masses[best] / masses[best].sum()
    return CellMasses(level, cells[best], masses, np.concatenate([[0.0], np.cumsum(masses)[:-1]]))
