"""How far to trust an answer, in plain words: the smallest distance within which the truth more probably lies than not.

The distances are the field's: street 1 km, city 25, region 200, country 750, continent 2500.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float64

from earthclip.errors import InputError
from earthclip.geo.cells import cell_width_km
from earthclip.geo.place_cells import cosine_of_km
from earthclip.posterior import Posterior

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
        """The verdict in plain words, such as "Probably within 200 km of the first place (61 % of the probability)"."""
        held = "more than 99 %" if self.mass > 0.995 else f"{100 * self.mass:.0f} %"
        if self.radius_km is None:
            most = f"{LEVELS[-1][1]:,.0f}"
            return f"Nowhere in particular: {held} of the probability lies within {most} km of the first place"
        return f"Probably within {self.radius_km:,.0f} km of the first place ({held} of the probability)"


def judge(posterior: Posterior, place: Float64[np.ndarray, " 2"] | None = None) -> Verdict:
    """The verdict on ``place`` (degrees), or else on the most probable place.

    No level is claimed whose radius is below half the width of the gallery's cells: the place is the gallery's
    nearest, and tells nothing of what lies between.
    """
    cosines = _cosines(posterior, place)
    finest_km = cell_width_km(posterior.place_cells.typical_level(posterior.probabilities)) / 2
    mass = 0.0
    for level, radius_km in LEVELS:
        mass = _held(posterior, cosines, radius_km)
        if mass >= HALF and radius_km >= finest_km:
            return Verdict(level, radius_km, mass)
    return Verdict(None, None, mass)


def confidence(posterior: Posterior, place: Float64[np.ndarray, " 2"] | None = None) -> float:
    """The probability within 200 km of ``place``, or else of the most probable place: what abstaining goes by."""
    return _held(posterior, _cosines(posterior, place), CONFIDENCE_KM)


def abstains(posterior: Posterior, min_confidence: float, place: Float64[np.ndarray, " 2"] | None = None) -> bool:
    """Whether ``confidence`` is below ``min_confidence``. Raises InputError unless that lies in [0, 1]."""
    return confidence(posterior, place) < check_confidence(min_confidence)


def check_confidence(min_confidence: float) -> float:
    """``min_confidence`` itself; raises InputError unless it lies in [0, 1]."""
    if not 0 <= min_confidence <= 1:
        raise InputError(f"min_confidence is {min_confidence}; expected 0 (always answer) to 1")
    return min_confidence


def _cosines(posterior: Posterior, place: Float64[np.ndarray, " 2"] | None) -> Float64[np.ndarray, " m"]:
    centre = posterior.coordinates[posterior.best(1)[0]] if place is None else place
    return posterior.place_cells.cosines(centre)


def _held(posterior: Posterior, cosines: Float64[np.ndarray, " m"], radius_km: float) -> float:
    return min(1.0, float(posterior.probabilities[cosines >= cosine_of_km(radius_km)].sum()))
