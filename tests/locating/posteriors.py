"""Posteriors with a known shape, for tests of what is made of them."""

from __future__ import annotations

import numpy as np

from earthclip.geo.sphere import great_circle_km
from earthclip.locating.posterior import Posterior


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
