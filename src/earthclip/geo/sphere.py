"""Geometry on the sphere: distances, bearings, tangent planes, and the one check of degrees."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Float64, Num

from earthclip.errors import InputError

EARTH_RADIUS_KM = 6371.0088  # mean radius (2a + b) / 3 of WGS84, IUGG


def great_circle_km(a: Num[np.ndarray, "*#batch 2"], b: Num[np.ndarray, "*#batch 2"]) -> Float[np.ndarray, "*batch"]:
    """Great-circle distance in km between coordinates in degrees, broadcast against each other.

    The arctangent form (Vincenty's formula at zero flattening) keeps its precision from metres to antipodes, where
    the arccosine loses the former and the haversine the latter.
    """
    lat_a, lon_a = _radians(a)
    lat_b, lon_b = _radians(b)
    turn = lon_b - lon_a
    # The halved sines keep the difference of nearby latitudes that sin(b)cos(a) - cos(b)sin(a) would cancel away.
    north = np.sin(lat_b - lat_a) + 2 * np.sin(lat_a) * np.cos(lat_b) * np.sin(turn / 2) ** 2
    east = np.cos(lat_b) * np.sin(turn)
    along = np.sin(lat_a) * np.sin(lat_b) + np.cos(lat_a) * np.cos(lat_b) * np.cos(turn)
    return np.asarray(EARTH_RADIUS_KM * np.arctan2(np.hypot(north, east), along))


def pairwise_km(a: Num[np.ndarray, "n 2"], b: Num[np.ndarray, "m 2"]) -> Float[np.ndarray, "n m"]:
    """Great-circle distances in km between every row of ``a`` and every row of ``b``, in degrees."""
    return great_circle_km(a[:, None, :], b[None, :, :])


def destination(
    coordinates: Num[np.ndarray, "n 2"], bearing_deg: Num[np.ndarray, " n"], distance_km: Num[np.ndarray, " n"]
) -> Float[np.ndarray, "n 2"]:
    """The place at ``distance_km`` along the great circle that starts at ``bearing_deg``.

    Bearings are degrees clockwise from north; at a pole they count from the direction in which the meridian of the
    given longitude runs on, so that 180 at the north pole leads down that meridian. Returns degrees ``[n, 2]``.
    """
    lat, lon = _radians(coordinates)
    bearing = np.radians(np.asarray(bearing_deg, dtype=np.float64))
    angle = np.asarray(distance_km, dtype=np.float64) / EARTH_RADIUS_KM
    zero = np.zeros_like(lat)
    start = _vectors(lat, lon)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=-1)
    east = np.stack([-np.sin(lon), np.cos(lon), zero], axis=-1)
    heading = np.cos(bearing)[:, None] * north + np.sin(bearing)[:, None] * east
    return from_unit_vectors(np.cos(angle)[:, None] * start + np.sin(angle)[:, None] * heading)


def wrap_longitude(degrees: Num[np.ndarray, "*_shape"] | float) -> Float[np.ndarray, "*_shape"]:
    """Longitudes in degrees, of any shape, brought into [-180, 180); those already there are kept bit for bit."""
    given = np.asarray(degrees, dtype=np.float64)
    wrapped = np.mod(given + 180.0, 360.0) - 180.0
    wrapped = np.where(wrapped >= 180.0, -180.0, wrapped)
    return np.where((given >= -180.0) & (given < 180.0), given, wrapped)


def unit_vectors(coordinates: Num[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 3"]:
    """Unit vectors of coordinates in degrees: x towards (0, 0), y towards (0, 90), z towards the north pole."""
    return _vectors(*_radians(coordinates))


def from_unit_vectors(vectors: Num[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 2"]:
    """Coordinates in degrees of vectors of any positive length; the inverse of ``unit_vectors``."""
    x, y, z = np.moveaxis(np.asarray(vectors, dtype=np.float64), -1, 0)
    latitude = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return np.stack([latitude, wrap_longitude(np.degrees(np.arctan2(y, x)))], axis=-1)


def _radians(
    coordinates: Num[np.ndarray, "*batch 2"],
) -> tuple[Float[np.ndarray, "*batch"], Float[np.ndarray, "*batch"]]:
    radians = np.radians(np.asarray(coordinates, dtype=np.float64))
    return radians[..., 0], radians[..., 1]


def _vectors(
    latitude: Float[np.ndarray, "*batch"], longitude: Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch 3"]:
    across = np.cos(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=-1)


def local_grid(centres: Num[np.ndarray, "c 2"], offsets_km: Num[np.ndarray, "g 2"]) -> Float64[np.ndarray, "c g 2"]:
    """Points (east, north) km from each centre, in degrees: on the plane that touches the sphere there.

    At the poles and across the antimeridian they lie as anywhere else.
    """
    latitude, longitude = np.radians(np.asarray(centres, dtype=np.float64)).T
    zero = np.zeros_like(latitude)
    east = np.stack([-np.sin(longitude), np.cos(longitude), zero], axis=-1)
    sine = np.sin(latitude)
    north = np.stack([-sine * np.cos(longitude), -sine * np.sin(longitude), np.cos(latitude)], axis=-1)
    radii = np.asarray(offsets_km, dtype=np.float64) / EARTH_RADIUS_KM
    step = radii[:, :1] * east[:, None] + radii[:, 1:] * north[:, None]
    return from_unit_vectors(unit_vectors(centres)[:, None] + step)


def check_coordinates(array: object, where: str) -> Float64[np.ndarray, "n 2"]:
    """The array as float64 ``[n, 2]`` of (latitude, longitude) in degrees, longitude in [-180, 180).

    Latitudes lie in [-90, 90], longitudes in [-180, 360); those from 180 on are wrapped. ``where`` names the source in
    messages. Raises InputError for another shape, for values that are not numbers, and for the first row that is not a
    place; rows count from 0.
    """
    try:
        coordinates = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: expected numbers of shape [n, 2] (latitude, longitude); {error}") from error
    if coordinates.ndim != 2 or coordinates.shape[1] != 2:
        shape = list(coordinates.shape)
        raise InputError(f"{where}: expected shape [n, 2] (latitude, longitude), found shape {shape}")
    valid = are_places(coordinates)
    if not valid.all():
        row = int(np.argmin(valid))
        fault = degrees_fault(*coordinates[row].tolist())
        raise InputError(f"{where}, row {row} (counted from 0): {fault}")
    return wrapped(coordinates)


def are_places(coordinates: Float64[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
    """Which rows are places: latitude in [-90, 90], longitude in [-180, 360)."""
    latitude, longitude = coordinates.T
    valid: np.ndarray = (np.abs(latitude) <= 90.0) & (longitude >= -180.0) & (longitude < 360.0)  # no NaN passes
    return valid


def degrees_fault(latitude: float, longitude: float) -> str | None:
    """What is wrong with one pair of degrees, as half a sentence with the fix; None where ``are_places`` holds."""
    pair = f"latitude {_shortest(latitude)}, longitude {_shortest(longitude)}"
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        return f"{pair} is not a place; give two numbers of degrees"
    if abs(latitude) > 90.0:
        if abs(longitude) <= 90.0 and -180.0 <= latitude < 360.0:
            return f"{pair}: latitudes must lie in [-90, 90]; are latitude and longitude swapped?"
        return f"{pair}: latitudes must lie in [-90, 90] degrees; correct the value"
    if not -180.0 <= longitude < 360.0:
        return f"{pair}: longitudes must lie in [-180, 180) or [0, 360) degrees; correct the value"
    return None


def wrapped(coordinates: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 2"]:
    """The coordinates with longitude in [-180, 180)."""
    return np.stack([coordinates[:, 0], wrap_longitude(coordinates[:, 1])], axis=1)


def _shortest(degrees: float) -> str:
    """All digits it takes to tell the number from others, such as 90.0000000001, and no ``.0``."""
    return str(float(degrees)).removesuffix(".0")


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
