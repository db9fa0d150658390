"""HEALPix cells: the sphere in 12 * 4**level pieces of equal area, for even grids, land masks and balanced samples.

Cells are numbered in the nested scheme, where cell c of a level holds the cells 4c to 4c+3 of the next. Source:
Górski et al., "HEALPix", Astrophysical Journal 622 (2005); the arithmetic is the `healpix` package's.
"""

from __future__ import annotations

import healpix
import numpy as np
from jaxtyping import Float, Int64, Integer, Num

from earthclip.errors import InputError
from earthclip.geo.geodesy import EARTH_RADIUS_KM, wrap_longitude

MAX_LEVEL = 29  # the deepest whose cell numbers fit in 64 bits; its cells are 12 mm wide


def cell_of(coordinates: Num[np.ndarray, "n 2"], level: int) -> Int64[np.ndarray, " n"]:
    """The nested number of the cell each coordinate, in degrees, falls into. Raises InputError for a bad level."""
    latitude, longitude = np.asarray(coordinates, dtype=np.float64).T
    return np.asarray(healpix.ang2pix(_sides(level), longitude, latitude, nest=True, lonlat=True), dtype=np.int64)


def cell_centres(cells: Integer[np.ndarray, " n"], level: int) -> Float[np.ndarray, "n 2"]:
    """Centres, in degrees, of the cells of these nested numbers. Raises InputError for numbers the level lacks."""
    sides = _sides(level)
    outside = (cells < 0) | (cells >= 12 * sides**2)
    if outside.any():
        found = cells[outside][0]
        raise InputError(f"cell {found} does not exist at level {level}, which has 0 to {12 * sides**2 - 1}")
    longitude, latitude = healpix.pix2ang(sides, cells, nest=True, lonlat=True)
    return np.stack([latitude, wrap_longitude(longitude)], axis=1)


def grid(level: int) -> Float[np.ndarray, "m 2"]:
    """Centres, in degrees, of all m = 12 * 4**level cells, in the order of their nested numbers."""
    return cell_centres(np.arange(12 * _sides(level) ** 2, dtype=np.int64), level)


def cell_area_km2(level: int) -> float:
    """Area in km² of each cell of a level: 42.5 million at level 0, a quarter of it at the next."""
    return 4.0 * np.pi * EARTH_RADIUS_KM**2 / (12 * _sides(level) ** 2)


def _sides(level: int) -> int:
    if not 0 <= level <= MAX_LEVEL:
        raise InputError(f"HEALPix level {level} does not exist; choose one from 0 to {MAX_LEVEL}")
    return 1 << level
