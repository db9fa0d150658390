"""HEALPix cells: which cell a place is in, their areas, centres and rings, and the cells of a set of places."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import healpix
import numpy as np
from jaxtyping import Float, Float64, Int64, Integer, Num

from earthclip.errors import InputError
from earthclip.geo.sphere import EARTH_RADIUS_KM, local_grid, unit_vectors, wrap_longitude

_FACE_ROW = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])  # of the southern corner of each of the 12 base cells
_FACE_COLUMN = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])  # of its middle, in eighths of a turn
MAX_LEVEL = 29  # the deepest whose cell numbers fit in 64 bits; its cells are 12 mm wide
_FORM = re.compile(r"(\d{1,2})/((?:\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)?)", re.ASCII)


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


_AROUND = np.array([(east, north) for east in (-1, 0, 1) for north in (-1, 0, 1) if (east, north) != (0, 0)])


def cells_around(cells: Integer[np.ndarray, " n"], level: int) -> Int64[np.ndarray, "n 8"]:
    """The cells one width away from the centre of each cell, in eight directions; one cell may lie in two of them."""
    points = local_grid(cell_centres(cells, level), _AROUND * cell_width_km(level))
    return cell_of(points.reshape(-1, 2), level).reshape(-1, 8)


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


DEEPEST = 12  # cells of 1.6 km: the finest the field's thresholds tell apart


@dataclass(frozen=True, eq=False)
class PlaceCells:
    """Places by their cells: ``order`` [m] sorts them by ``cells`` [m], nested numbers of the deepest level.

    ``own_level`` [m] is the deepest level at which each place shares its cell with another, ``vectors`` [m, 3] are
    unit vectors; these two are in the order of the places.
    """

    order: Int64[np.ndarray, " m"]
    cells: Int64[np.ndarray, " m"]
    own_level: Int64[np.ndarray, " m"]
    vectors: Float64[np.ndarray, "m 3"]

    @classmethod
    def of(cls, coordinates: Float64[np.ndarray, "m 2"]) -> PlaceCells:
        """The cells of places in degrees."""
        unsorted = cell_of(coordinates, DEEPEST)
        order = np.argsort(unsorted, kind="stable")
        cells = unsorted[order]
        # Two bits a level: the highest bit in which neighbours differ tells the level at which they part.
        _, bits = np.frexp((cells[1:] ^ cells[:-1]).astype(np.float64))
        shared = np.concatenate([[0], np.maximum(DEEPEST - (bits + 1) // 2, 0), [0]])
        own_level = np.empty(len(cells), np.int64)
        own_level[order] = np.maximum(shared[1:], shared[:-1])
        return cls(order, cells, own_level, unit_vectors(coordinates))

    def joined(self, coordinates: Float64[np.ndarray, "n 2"], levels: Int64[np.ndarray, " n"]) -> PlaceCells:
        """These places and then others in degrees, whose ``own_level`` is given; that of these stays."""
        cells = np.concatenate([self.cells, cell_of(coordinates, DEEPEST)])
        order = np.concatenate([self.order, np.arange(len(self.order), len(cells))])
        sorting = np.argsort(cells, kind="stable")  # fast, since most are in order already
        vectors = np.concatenate([self.vectors, unit_vectors(coordinates)])
        return PlaceCells(order[sorting], cells[sorting], np.concatenate([self.own_level, levels]), vectors)

    def sums(self, values: Float64[np.ndarray, " m"], level: int) -> tuple[np.ndarray, np.ndarray]:
        """The occupied cells of a level up to 12, ascending, and the sum of their places' ``values``, both [r]."""
        cells = self.cells >> (2 * (DEEPEST - level))
        first = np.concatenate([[0], np.flatnonzero(cells[1:] != cells[:-1]) + 1])
        return cells[first], np.add.reduceat(values[self.order], first)

    def in_cell(self, cell: int, level: int) -> Int64[np.ndarray, " r"]:
        """Indices of the places in a cell of a level up to 12."""
        deep = 2 * (DEEPEST - level)
        low, high = np.searchsorted(self.cells, [cell << deep, (cell + 1) << deep])
        return self.order[low:high]

    def typical_level(self, weights: Float64[np.ndarray, " m"]) -> int:
        """The median by ``weights`` of ``own_level``: how fine the places are where the weight is."""
        held = np.cumsum(np.bincount(self.own_level, weights, DEEPEST + 1))
        return int(np.searchsorted(held, held[-1] / 2))

    def cosines(self, place: Float64[np.ndarray, " 2"]) -> Float64[np.ndarray, " m"]:
        """Cosines of the angles between ``place``, in degrees, and each place; see ``cosine_of_km``."""
        return np.asarray(self.vectors @ unit_vectors(place))


def cosine_of_km(distance_km: float) -> float:
    """The cosine of the angle that a distance of at least 0.1 km subtends; it falls as distances grow."""
    return math.cos(min(distance_km / EARTH_RADIUS_KM, math.pi))


def cells_text(cells: Int64[np.ndarray, " r"], level: int) -> str:
    """The cells of a level, in any order, as text."""
    ordered = np.unique(cells)
    breaks = np.flatnonzero(np.diff(ordered) > 1) + 1
    first = ordered[np.concatenate([[0], breaks])] if ordered.size else ordered
    last = ordered[np.concatenate([breaks - 1, [-1]])] if ordered.size else ordered
    ranges = [f"{a}-{b}" if a != b else f"{a}" for a, b in zip(first.tolist(), last.tolist(), strict=True)]
    return f"{level}/{','.join(ranges)}"


def parse_cells(text: str) -> tuple[Int64[np.ndarray, " r"], int]:
    """The cells that ``cells_text`` wrote, ascending, and their level. Raises InputError for other text."""
    found = _FORM.fullmatch(text)
    level = int(found[1]) if found else -1
    if found is None or level > MAX_LEVEL:
        raise InputError(f"expected cells as in 6/100-120,130, found {text[:40]!r}")
    beyond = 12 * 4**level
    ranges = []
    for part in filter(None, found[2].split(",")):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if not low <= high < beyond:
            raise InputError(f"expected cells of level {level} below {beyond}, found {part}")
        ranges.append(np.arange(low, high + 1, dtype=np.int64))
    return np.concatenate(ranges) if ranges else np.empty(0, np.int64), level
