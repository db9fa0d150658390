"""Posteriors with a known shape, for tests of what is made of them."""

from __future__ import annotations

import numpy as np

from earthclip.geo.sphere import great_circle_km
from earthclip.locating.posterior import Posterior
from earthclip.locating.prediction import Prediction
from earthclip.locating.trust import credible_regions, judge


def lattice(spacing_km: float) -> np.ndarray:
    """Places [m, 2] all over the sphere, nearly ``spacing_km`` apart."""
    m = round(4 * np.pi * 6371.0088**2 / spacing_km**2)
    index = np.arange(m) + 0.5
    latitude = np.degrees(np.arcsin(1 - 2 * index / m))
    return np.stack([latitude, (index * 180 * (3 - np.sqrt(5)) + 180) % 360 - 180], axis=1)


def hill(places: np.ndarray, top: tuple[float, float], width_km: float) -> Posterior:
    """Falls off around ``top`` (degrees) as a normal distribution of that standard deviation."""
    distance_km = great_circle_km(places, np.array(top))
    return Posterior.from_logits(places, -((distance_km / width_km) ** 2) / 2)


class Fixed:
    """Scores every embedding alike."""

    def __init__(self, posterior: Posterior) -> None:
        self._posterior = posterior

    def posterior_of(self, embedding: np.ndarray) -> Posterior:
        return self._posterior


def predicted(posterior: Posterior, path: str | None = None, top_k: int = 1) -> Prediction:
    """The whole answer that a model with this posterior would give, without names of places."""
    coordinates, probabilities = posterior.top_k(top_k)
    verdict, confidence = judge(posterior, coordinates[0])
    return Prediction(
        path,
        "orbit",
        coordinates,
        probabilities,
        verdict=verdict,
        confidence=confidence,
        credible=tuple(credible_regions(posterior)),
        embedding=np.zeros(1, np.float32),
        scorer=Fixed(posterior),
    )
