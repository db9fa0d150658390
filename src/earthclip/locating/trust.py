"""How far to trust an answer: the smallest regions that hold 50 and 90 %, and a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from jaxtyping import Float64, Int64

from earthclip.errors import InputError
from earthclip.geo.cells import cell_area_km2, cell_boundaries, cell_width_km, cosine_of_km
from earthclip.locating.posterior import Posterior

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

    @cached_property
    def areas(self) -> int:
        """How many separate areas the region has; cells that share a side are one area. 0 where cells are not known."""
        corners = cell_boundaries(self.cells, self.level)  # [r, 4, 2]
        corners[..., 1] %= 360.0
        corners[np.abs(corners[..., 0]) > 89.999, 1] = 0.0
        _, numbers = np.unique(np.round(corners.reshape(-1, 2), 6), axis=0, return_inverse=True)
        ring = numbers.reshape(-1, 4)
        sides = np.sort(np.stack([ring, np.roll(ring, -1, axis=1)], axis=2), axis=2).reshape(-1, 2)  # [4 r, 2]
        _, side = np.unique(sides, axis=0, return_inverse=True)
        area = np.arange(len(self.cells))
        while True:  # each cell takes the lowest number among those that it shares a side with, until none changes
            lowest = np.full(side.max(initial=-1) + 1, len(area))
            np.minimum.at(lowest, side.ravel(), np.repeat(area, 4))
            lower = lowest[side.reshape(-1, 4)].min(axis=1, initial=len(area))
            if (lower == area).all():
                return len(np.unique(area))
            area = lower

    def polygons(self) -> MultiPolygon:
        """The outline, (longitude, latitude) in degrees: cells merged, cut at ±180, closed over the poles."""
        from earthclip.geo.shapes import cell_polygons  # shapely takes longer to start than an answer may

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

    Of a calibrated model, a region holds as much of the posterior as it took for that share of regions to hold the true
    place, of pictures of which the model was as sure (split conformal prediction, group-balanced by the entropy of the
    posterior: Angelopoulos and Bates, arXiv 2107.07511, sections 1 and 4.1). Raises InputError for masses outside
    (0, 1].
    """
    for mass in masses:
        if not 0 < mass <= 1:
            raise InputError(f"mass must be above 0 and at most 1, found {mass}")
    found = cell_masses(posterior)
    area_km2 = cell_area_km2(found.level)
    calibration = posterior.calibration_here
    regions = []
    for mass in masses:
        wanted = calibration.mass_for(mass) if calibration else mass
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


Level: TypeAlias = Literal["street", "city", "region", "country", "continent"]

LEVELS: tuple[tuple[Level, float], ...] = (
    ("street", 1.0),
    ("city", 25.0),
    ("region", 200.0),
    ("country", 750.0),
    ("continent", 2500.0),
)
HALF = 0.5
CONFIDENCE_KM = 200.0  # the middle level: near enough to be of use, wide enough for the built-in model to reach


@dataclass(frozen=True)
class Verdict:
    """The smallest ``level`` whose disc around the first place holds half of the probability, or None.

    ``mass`` is what the disc of ``radius_km`` holds; without a level, what the largest disc, 2,500 km, holds.
    """

    level: Level | None
    radius_km: float | None
    mass: float

    @property
    def sentence(self) -> str:
        """The verdict in plain words, such as "Likely within 200 km of guess 1 (61 %)"."""
        held = "more than 99 %" if self.mass > 0.995 else f"{100 * self.mass:.0f} %"
        if self.radius_km is None:
            radius = f"{LEVELS[-1][1]:,.0f} km"
            return f"Location unknown: no region stands out (only {held} of the probability within {radius} of guess 1)"
        return f"Likely within {self.radius_km:,.0f} km of guess 1 ({held})"


def judge(posterior: Posterior, place: Float64[np.ndarray, " 2"]) -> tuple[Verdict, float]:
    """The verdict on ``place`` (degrees), and the probability within 200 km of it: what abstaining goes by.

    No level is claimed whose radius is below half the width of the gallery's cells: the place is the gallery's
    nearest, and tells nothing of what lies between.
    """
    cosines = posterior.place_cells.cosines(place)
    held = {
        radius_km: min(1.0, float(posterior.probabilities[cosines >= cosine_of_km(radius_km)].sum()))
        for _, radius_km in LEVELS
    }
    finest_km = cell_width_km(posterior.place_cells.typical_level(posterior.probabilities)) / 2
    for level, radius_km in LEVELS:
        if held[radius_km] >= HALF and radius_km >= finest_km:
            return Verdict(level, radius_km, held[radius_km]), held[CONFIDENCE_KM]
    return Verdict(None, None, held[LEVELS[-1][1]]), held[CONFIDENCE_KM]


def check_confidence(min_confidence: float) -> float:
    """``min_confidence`` itself; raises InputError unless it lies in [0, 1]."""
    if not 0 <= min_confidence <= 1:
        raise InputError(f"min_confidence is {min_confidence}; expected 0 (always answer) to 1")
    return min_confidence
