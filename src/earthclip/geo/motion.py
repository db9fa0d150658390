"""Where something was at a time, from where it was before and after, and how unsure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from earthclip.geo.sphere import from_unit_vectors, great_circle_km, unit_vectors

_DETOUR = 0.25  # of the way between two fixes: nobody moves along it at an even pace


@dataclass(frozen=True)
class Whereabouts:
    """A position (latitude, longitude) in degrees for a time; ``sources`` are "track", "neighbours" or both.

    ``gap_h`` are the hours to the fixes that it is known from, ``spread_km`` what their distance makes it unsure by.
    """

    latitude: float
    longitude: float
    gap_h: float
    spread_km: float
    sources: tuple[str, ...]

    @property
    def place(self) -> Float64[np.ndarray, " 2"]:
        """(latitude, longitude) in degrees."""
        return np.array([self.latitude, self.longitude])


def whereabouts(
    relative_s: Float64[np.ndarray, " n"], coordinates: Float64[np.ndarray, "n 2"], most_h: float, source: str
) -> Whereabouts | None:
    """Where it was at time 0, given fixes at ``coordinates`` in degrees and ``relative_s`` seconds; None for none near.

    The fixes are the last before and the first after, at most ``most_h`` hours away. Between two of them it lies on the
    great circle at the share of the time that has passed, and is less unsure near either of them, as in a Brownian
    bridge.
    """
    near = np.flatnonzero(np.abs(relative_s) <= most_h * 3600)
    before, after = near[relative_s[near] <= 0], near[relative_s[near] >= 0]
    fixes = [int(side[np.argmin(np.abs(relative_s[side]))]) for side in (before, after) if len(side)]
    if not fixes:
        return None
    if len(fixes) == 1 or relative_s[fixes[0]] == relative_s[fixes[1]]:
        latitude, longitude = coordinates[fixes[0]].tolist()
        return Whereabouts(latitude, longitude, abs(float(relative_s[fixes[0]])) / 3600, 0.0, (source,))
    first, last = fixes
    since_s, until_s = -float(relative_s[first]), float(relative_s[last])
    share = since_s / (since_s + until_s)
    apart_km = float(great_circle_km(coordinates[first], coordinates[last]))
    vectors = unit_vectors(coordinates[[first, last]])
    latitude, longitude = from_unit_vectors(_between(vectors, share)).tolist()
    gap_h = since_s * until_s / (since_s + until_s) / 3600
    return Whereabouts(latitude, longitude, gap_h, _DETOUR * apart_km * 2 * min(share, 1 - share), (source,))


def _between(vectors: Float64[np.ndarray, "2 3"], share: float) -> Float64[np.ndarray, " 3"]:
    angle = float(np.arctan2(np.linalg.norm(np.cross(*vectors)), vectors[0] @ vectors[1]))
    if np.sin(angle) < 1e-9:  # the same place, or antipodes, between which there is no one way
        return np.asarray(vectors[0] if share < 0.5 else vectors[1])
    weights = np.array([np.sin((1 - share) * angle), np.sin(share * angle)]) / np.sin(angle)
    return np.asarray(weights @ vectors)
