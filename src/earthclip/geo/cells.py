"""HEALPix cells: the sphere in 12 * 4**level pieces of equal area, for even grids, land masks and balanced samples.

Cells are numbered in the nested scheme, where cell c of a level holds the cells 4c to 4c+3 of the next. Source:
Górski et al., "HEALPix", Astrophysical Journal 622 (2005); the arithmetic is the `healpix` package's.
"""

from __future__ import annotations

import math

import healpix
import numpy as np
from jaxtyping import Float, Int64, Integer, Num

from earthclip.errors import InputError
from earthclip.geo.geodesy import EARTH_RADIUS_KM, wrap_longitude

_FACE_ROW = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])  # of the southern corner of each of the 12 base cells
_FACE_COLUMN = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])  # of its middle, in eighths of a turn
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


def cell_width_km(level: int) -> float:
    """Side in km of a square of the area of each cell of a level: 6519 at level 0, half of it at the next."""
    return math.sqrt(cell_area_km2(level))


def level_of_width(width_km: float) -> int:
    """The deepest level whose cells are at least ``width_km`` wide, 0 when none is."""
    return min(MAX_LEVEL, max(0, math.floor(math.log2(cell_width_km(0) / max(width_km, 1e-9)) + 1e-9)))


def cell_boundaries(cells: Integer[np.ndarray, " n"], level: int, per_side: int = 1) -> Float[np.ndarray, "n points 2"]:
    """The rings of cells in degrees, ``per_side`` points for each side, counter-clockwise seen from outside.

    They begin in the south and are not closed. Longitudes are continuous along a ring, and so may leave [-180, 180);
    of cells that share a side, both have its points. At a pole the longitude is the cell's middle one. Source: Górski
    et al. (2005), section 5; the same equations hold between the corners.
    """
    sides = _sides(level)
    face, x, y = _deinterleaved(cells, level)
    along = np.arange(per_side) / per_side
    still = np.zeros(per_side)
    # South to east to north to west: x grows towards the north-east, y towards the north-west.
    dx = np.concatenate([along, still + 1, 1 - along, still])
    dy = np.concatenate([still, along, still + 1, 1 - along])
    x, y = (x[:, None] + dx) / sides, (y[:, None] + dy) / sides
    ring = _FACE_ROW[face][:, None] - x - y  # 0 at the north pole, 4 at the south pole
    cap = np.minimum(np.minimum(ring, 4 - ring), 1.0)
    z = np.where(ring < 1, 1 - cap**2 / 3, np.where(ring > 3, cap**2 / 3 - 1, (2 - ring) * 2 / 3))
    turn = np.divide(x - y, cap, out=np.zeros_like(cap), where=cap > 1e-12)
    return np.stack([np.degrees(np.arcsin(z)), 45.0 * (_FACE_COLUMN[face][:, None] + turn)], axis=-1)


def _deinterleaved(cells: Integer[np.ndarray, " n"], level: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Base cell, and the position in it: the even bits of a nested number are x, the odd ones y."""
    numbers = np.asarray(cells, dtype=np.int64)
    x, y = np.zeros_like(numbers), np.zeros_like(numbers)
    for bit in range(level):
        x |= (numbers >> (2 * bit) & 1) << bit
        y |= (numbers >> (2 * bit + 1) & 1) << bit
    return numbers >> (2 * level), x, y


def _sides(level: int) -> int:
    if not 0 <= level <= MAX_LEVEL:
        raise InputError(f"HEALPix level {level} does not exist; choose one from 0 to {MAX_LEVEL}")
    return 1 << level
