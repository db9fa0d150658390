"""How good located pictures are: the share within each distance, median and mean error, GeoScore.

The thresholds are the field's street, city, region, country and continent, since Vo, Jacobs and Hays, "Revisiting
IM2GPS in the Deep Learning Era" (2017).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from earthclip.errors import InputError

THRESHOLDS_KM = (1, 25, 200, 750, 2500)
GEOSCORE_SCALE_KM = 1492.7  # the world map's scale in GeoGuessr, as used by Astruc et al., "OpenStreetView-5M" (2024)


@dataclass(frozen=True)
class Report:
    """The quality of n located pictures.

    ``accuracy`` maps each threshold in km ("1", "25", "200", "750", "2500") to the fraction of pictures at most that
    far off; ``geoscore`` is the mean of 5000 * exp(-km / 1492.7), 5000 at best.
    """

    n: int
    accuracy: dict[str, float]
    median_km: float
    mean_km: float
    geoscore: float

    @classmethod
    def from_errors(cls, errors_km: Float[np.ndarray, " n"]) -> Report:
        """Summarise distances in km between answers and truths; raises InputError for none, or for a bad one."""
        if errors_km.size == 0:
            raise InputError("nothing to report on: expected at least one located picture, found none")
        bad = ~(np.isfinite(errors_km) & (errors_km >= 0))
        if bad.any():
            first = int(np.argmax(bad))
            raise InputError(f"error {first} is {errors_km[first]} km; expected finite distances of at least 0")
        distances = errors_km.astype(np.float64)
        return cls(
            n=distances.size,
            accuracy={str(km): float(np.mean(distances <= km)) for km in THRESHOLDS_KM},
            median_km=float(np.median(distances)),
            mean_km=float(np.mean(distances)),
            geoscore=float(np.mean(5000.0 * np.exp(-distances / GEOSCORE_SCALE_KM))),
        )

    def to_json(self) -> str:
        """The fields as one JSON object, on one line."""
        return json.dumps(asdict(self))
