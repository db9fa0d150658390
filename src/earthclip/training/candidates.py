"""The candidate places of a model: those of its training photos, thinned."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from earthclip.geo.sphere import EARTH_RADIUS_KM


def thinned(coordinates: Float[np.ndarray, "n 2"], spacing_km: float) -> Float[np.ndarray, "m 2"]:
    """One coordinate (degrees) of each square ``spacing_km`` wide that has any: the one nearest its centre.

    The squares lie in rows of equal latitude, as many in each as its circle is long.
    """
    latitude, longitude = np.asarray(coordinates, np.float64).T
    height = np.degrees(spacing_km / EARTH_RADIUS_KM)
    row = np.floor((latitude + 90) / height)
    middle = np.clip((row + 0.5) * height - 90, -90, 90)
    columns = np.maximum(1, np.rint(360 * np.cos(np.radians(middle)) / height))
    column = np.minimum(np.floor((longitude + 180) / 360 * columns), columns - 1)
    east = ((longitude + 180) / 360 * columns - column - 0.5) * spacing_km
    north = (latitude - middle) / height * spacing_km
    order = np.lexsort((np.hypot(east, north), column, row))
    rows, cells = row[order], column[order]
    first = np.ones(len(order), bool)
    first[1:] = (rows[1:] != rows[:-1]) | (cells[1:] != cells[:-1])
    return np.stack([latitude, longitude], axis=1)[order[first]]
