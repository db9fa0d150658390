"""Degrees as tables in the wild have them: longitudes in [-180, 180) or [0, 360), latitude and longitude swapped."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float64

from earthclip.errors import InputError
from earthclip.geo.geodesy import wrap_longitude


def check_degrees(
    coordinates: Float64[np.ndarray, "n 2"], source: str, first_row: int = 0
) -> Float64[np.ndarray, "n 2"]:
    """The (latitude, longitude) with longitude from [-180, 360) wrapped to [-180, 180).

    Raises InputError for the first row that is no place, counted from 0 with ``first_row`` the number of the first.
    """
    valid = are_places(coordinates)
    if not valid.all():
        row = int(np.argmin(valid))
        fault = degrees_fault(*coordinates[row].tolist())
        raise InputError(f"{source}, row {first_row + row} (counted from 0): {fault}")
    return wrapped(coordinates)


def are_places(coordinates: Float64[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
    """Which rows are places, with longitude in [-180, 360)."""
    latitude, longitude = coordinates.T
    valid: np.ndarray = (np.abs(latitude) <= 90.0) & (longitude >= -180.0) & (longitude < 360.0)  # no NaN passes
    return valid


def degrees_fault(latitude: float, longitude: float) -> str | None:
    """What is wrong with one pair of degrees, as half a sentence with the fix; None when nothing is."""
    pair = f"latitude {latitude}, longitude {longitude}"
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        return f"{pair} is not a place; remove the row or give both in degrees"
    if abs(latitude) > 90.0:
        if abs(longitude) <= 90.0 and -180.0 <= latitude < 360.0:
            return f"{pair}: latitudes must lie in [-90, 90]; are latitude and longitude swapped?"
        return f"{pair}: latitudes must lie in [-90, 90] degrees; correct the row"
    if not -180.0 <= longitude < 360.0:
        return f"{pair}: longitudes must lie in [-180, 180) or [0, 360) degrees; correct the row"
    return None


def wrapped(coordinates: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 2"]:
    """The coordinates with longitude in [-180, 180)."""
    return np.stack([coordinates[:, 0], wrap_longitude(coordinates[:, 1])], axis=1)
