"""What an answer is: a Prediction, or for a picture that could not be answered, a Failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64

from earthclip.posterior import Posterior


@dataclass(frozen=True, eq=False)
class Prediction:
    """Where a picture was taken: ``coordinates`` [k, 2] in degrees, best first, with ``probabilities`` [k]."""

    path: str | None  # None: the picture was given as an image
    model: str
    coordinates: Float64[np.ndarray, "k 2"]
    probabilities: Float64[np.ndarray, " k"]
    posterior: Posterior | None = field(default=None, repr=False)

    @property
    def latitude(self) -> float:
        """Of the best place, in degrees."""
        return float(self.coordinates[0, 0])

    @property
    def longitude(self) -> float:
        """Of the best place, in degrees, in [-180, 180)."""
        return float(self.coordinates[0, 1])

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """The best place as a GeoJSON Feature, for shapely, geopandas and the like."""
        return {
            "type": "Feature",
            # GeoJSON is the one place outside outputs/ that puts longitude first (RFC 7946, section 3.1.1).
            "geometry": {"type": "Point", "coordinates": (self.longitude, self.latitude)},
            "properties": {"path": self.path, "model": self.model, "probability": float(self.probabilities[0])},
        }


@dataclass(frozen=True)
class Failure:
    """A picture that could not be answered, and why, in one line that names it."""

    path: str | None
    error: str
