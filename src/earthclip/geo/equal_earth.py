"""The Equal Earth projection: a map of the whole Earth without jumps at the poles, on which areas are true.

The published GeoCLIP location encoder sees coordinates through it. Source: Šavrič, Patterson and Jenny, "The Equal
Earth map projection", International Journal of Geographical Information Science 33 (2018), equations 5 to 9.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Num

from earthclip.geo.sphere import wrap_longitude

A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796

_HALF_SQRT3 = np.sqrt(3.0) / 2.0
_HIGHEST = 1.3173627591574133  # y of the north pole
_NEWTON_STEPS = 12  # from theta = y the poles, the slowest start, converge in 5
_TOLERANCE = 1e-12


def equal_earth(coordinates: Num[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Map positions (x east, y north) of coordinates in degrees; the unit is the sphere's radius, the centre (0, 0).

    x lies in [-2.7066, 2.7066], y in [-1.3174, 1.3174]. Longitudes are taken as they are: 180 is the right edge.
    """
    latitude, longitude = np.radians(np.asarray(coordinates, dtype=np.float64)).T
    theta = np.arcsin(_HALF_SQRT3 * np.sin(latitude))
    x = longitude * np.cos(theta) / (_HALF_SQRT3 * _slope(theta))
    return np.stack([x, _height(theta)], axis=1)


def inverse_equal_earth(positions: Num[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Coordinates in degrees of map positions (x, y) in unit-sphere radii; NaN for positions off the map.

    Newton's method on the height polynomial, to 1e-12. Longitudes are wrapped into [-180, 180). Heights resolve
    latitudes ever less toward the poles, in float64 to about 10 cm there.
    """
    x, y = np.asarray(positions, dtype=np.float64).T
    height = np.clip(y, -_HIGHEST, _HIGHEST)
    theta = height.copy()
    for _ in range(_NEWTON_STEPS):
        step = (_height(theta) - height) / _slope(theta)
        theta -= step
        if np.all(np.abs(step) < _TOLERANCE):
            break
    latitude = np.degrees(np.arcsin(np.clip(np.sin(theta) / _HALF_SQRT3, -1.0, 1.0)))
    longitude = np.degrees(_HALF_SQRT3 * x * _slope(theta) / np.cos(theta))
    on_map = (np.abs(y) <= _HIGHEST + _TOLERANCE) & (np.abs(longitude) <= 180.0 + 1e-9)
    return np.where(on_map[:, None], np.stack([latitude, wrap_longitude(longitude)], axis=1), np.nan)


def _height(theta: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    square = theta * theta
    sixth = square**3
    return np.asarray(theta * (A1 + A2 * square + sixth * (A3 + A4 * square)))


def _slope(theta: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    square = theta * theta
    sixth = square**3
    return np.asarray(A1 + 3 * A2 * square + sixth * (7 * A3 + 9 * A4 * square))
