"""How a density of probability is coloured, and told in words."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, UInt8

INK, SEA, LAND, LINE = "#1d2730", "#e9eff4", "#faf8f3", "#a9b2ba"
_RAMP = np.array([(253, 212, 158), (253, 187, 132), (252, 141, 89), (227, 74, 51), (179, 0, 0)], np.float64)
FAINTEST = 0.05  # of ``strength``: a 400th of the highest density; below, nothing is tinted


def strength(densities: Float[np.ndarray, "*shape"], highest: float) -> Float64[np.ndarray, "*shape"]:
    """How strongly each density is coloured, 0 to 1: square roots, so that small shares are seen; 0 for NaN."""
    return np.asarray(np.sqrt(np.clip(np.nan_to_num(densities) / max(highest, 1e-300), 0.0, 1.0)))


def coloured(strengths: Float64[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape 4"]:
    """RGBA of strengths, transparent where there is next to nothing."""
    at = np.clip(strengths, 0.0, 1.0) * (len(_RAMP) - 1)
    low = np.minimum(at.astype(np.int64), len(_RAMP) - 2)
    part = (at - low)[..., None]
    colours = _RAMP[low] * (1 - part) + _RAMP[low + 1] * part
    opacity = np.clip((strengths - FAINTEST) / 0.15, 0.0, 1.0) * (0.5 + 0.4 * np.clip(strengths, 0.0, 1.0))
    return np.asarray(np.concatenate([colours, 255 * opacity[..., None]], axis=-1).round(), np.uint8)


def density_text(density: float) -> str:
    """A density per km² for people, such as "2.1 % per 10,000 km²"."""
    areas_km2 = (1_000_000, 10_000, 100, 1)
    area_km2 = next((area for area in areas_km2 if density * area <= 1.0), 1)
    return f"{100 * density * area_km2:.2g} % per {area_km2:,} km²"
