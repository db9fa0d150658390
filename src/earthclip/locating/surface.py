"""The probability of an answer as one continuous surface, from which every map of it is drawn.

The surface is made of the cells that the credible regions are made of. In each cell it holds what the gallery's places
in that cell hold, so that a region holds on the surface what it holds in the answer. Outside a region it is nowhere
higher than the mean of the region's last cell, so that the darkest spots of a map lie in its outlines. Between cells
it has no steps. Source: Tobler, "Smooth pycnophylactic interpolation for geographical regions", Journal of the American
Statistical Association 74 (1979).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64, Int64

from earthclip.errors import InputError
from earthclip.geo.cells import cell_area_km2, cell_of, cell_width_km, cells_around, level_of_width
from earthclip.geo.interpolation import interpolation
from earthclip.geo.sphere import EARTH_RADIUS_KM
from earthclip.locating.posterior import Posterior
from earthclip.locating.trust import cell_masses, credible_regions

MOST_PIXELS = 500_000_000  # of a grid of the whole Earth: 31,600 pixels wide, 1.3 km at the equator
_FINE_CELLS = 300_000  # about, at most: that take a second to smooth
_DEEPEST = 4  # times that a cell is quartered
_ROUNDS = 8  # of smoothing after each quartering: more change no map to be seen
_NO_LIMIT = 1e9  # of what a cell holds, which is 1 at most, so that sums of it stay numbers
_BLOCK = 500_000  # pixels at a time: 100 MB with all that is computed of them
_NEAR = 8  # the level at which it is looked up whether a pixel has any probability


@dataclass(frozen=True, eq=False)
class Surface:
    """A probability density over the Earth: ``densities`` [n] per km² of the ``cells`` [n], ascending, of ``level``.

    Elsewhere it is 0. Between the centres of cells it is interpolated. It integrates to 1. It is smooth within the
    wider cells of ``region_level``, those of credible regions.
    """

    region_level: int
    level: int
    cells: Int64[np.ndarray, " n"]
    densities: Float64[np.ndarray, " n"]

    @classmethod
    def of(cls, posterior: Posterior, held: float = 0.9999) -> Surface:
        """The surface of an answer, over the most probable cells that hold ``held``; others are left out."""
        found = cell_masses(posterior)
        count = found.count(held)
        order = np.argsort(found.cells[:count])
        cells, masses = found.cells[:count][order], found.masses[:count][order]
        highest = _highest(posterior, found.masses[:count])[order] / masses.sum()
        masses = masses / masses.sum()
        depth = int(np.clip(np.log(_FINE_CELLS / len(cells)) / np.log(4), 0, _DEEPEST))
        values = masses[:, None]  # [cells, 4**deep]
        for deep in range(1, depth + 1):
            fine = ((cells[:, None] << (2 * deep)) + np.arange(4**deep)).ravel()
            around = _around(fine, found.level + deep)
            values = np.repeat(values / 4, 4, axis=1)
            fade = np.ones_like(values)  # towards cells without probability
            for _ in range(_ROUNDS):
                fade = _mean(fade, around) if deep > 1 else fade
                values = _with_masses(_mean(values, around) * fade, masses)
                values = _up_to(highest / 4**deep, values, masses)
        level = found.level + depth
        fine = ((cells[:, None] << (2 * depth)) + np.arange(4**depth)).ravel()
        return cls(found.level, level, fine, values.ravel() / cell_area_km2(level))

    def coarser(self, width_km: float) -> Surface:
        """The same over cells of at least ``width_km``, where its own are finer: what pixels so wide can show."""
        level = min(self.level, level_of_width(width_km))
        up = 2 * (self.level - level)
        cells, first = np.unique(self.cells >> up, return_index=True)
        if up == 0:
            return self
        return replace(self, level=level, cells=cells, densities=np.add.reduceat(self.densities, first) / 2**up)

    def density(self, coordinates: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, " n"]:
        """Probability per km² at each of the coordinates, in degrees; NaN where a coordinate is."""
        result = np.where(np.isfinite(coordinates).all(axis=1), 0.0, np.nan)
        near = self._near(coordinates)
        if len(near):
            cells, weights = interpolation(np.asarray(coordinates[near], np.float64), self.level)
            where = np.minimum(np.searchsorted(self.cells, cells), len(self.cells) - 1)
            found = np.where(self.cells[where] == cells, self.densities[where], 0.0)
            result[near] = np.vecdot(found, weights)
        return result

    def rows(self, width: int) -> Iterator[tuple[Float64[np.ndarray, "rows width"], Float64[np.ndarray, " rows"]]]:
        """Densities per km² of a grid of ``width`` by ``width // 2`` pixels over the Earth, some rows at a time.

        Beside them, the area in km² of a pixel of each row: densities times areas are the probabilities of the pixels,
        which all together sum to 1 within 1 %. Rows go from north to south, pixels from 180 degrees west on; each is
        360 / ``width`` degrees wide and high. Raises InputError as ``check_width`` does.
        """
        check_width(width)
        pixel_deg = 360.0 / width
        pixel_km = 2 * np.pi * EARTH_RADIUS_KM / width
        surface = self.coarser(pixel_km)
        side = np.array([0.0] if 2 * pixel_km <= cell_width_km(surface.level) else [-0.25, 0.25]) * pixel_deg
        within = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)  # where each pixel's mean is taken
        # Of a surface about as fine as the pixels, a sample of points is not the whole; twice the time makes it so.
        whole = sum(float((d * a[:, None]).sum()) for d, a in surface._blocks(width, within)) if len(side) > 1 else 1.0
        for densities, areas_km2 in surface._blocks(width, within):
            yield densities / whole, areas_km2

    def _blocks(self, width: int, within: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        pixel_deg = 360.0 / width
        longitudes = (np.arange(width) + 0.5) * pixel_deg - 180.0
        height, at_once = width // 2, max(1, _BLOCK // width)
        for first in range(0, height, at_once):
            latitudes = 90.0 - (np.arange(first, min(first + at_once, height)) + 0.5) * pixel_deg
            grid = np.stack(np.meshgrid(latitudes, longitudes, indexing="ij"), axis=-1).reshape(-1, 2)
            means = np.zeros(len(grid))
            near = self._near(grid)
            means[near] = np.mean([self.density(grid[near] + shift) for shift in within], axis=0)
            edges = np.sin(np.radians([latitudes + pixel_deg / 2, latitudes - pixel_deg / 2]))
            areas_km2 = (edges[0] - edges[1]) * (2 * np.pi * EARTH_RADIUS_KM**2 / width)
            yield means.reshape(-1, width), areas_km2

    def _near(self, coordinates: Float[np.ndarray, "n 2"]) -> Int64[np.ndarray, " r"]:
        """Indices of the coordinates that lie in or beside a cell that has any probability, or not far from one."""
        level, nearby = self._nearby
        finite = np.flatnonzero(np.isfinite(coordinates).all(axis=1))
        return np.asarray(finite[nearby[cell_of(coordinates[finite], level)]])

    @cached_property
    def _nearby(self) -> tuple[int, np.ndarray]:
        """A coarse level, and of all its cells, which have any probability in or beside them."""
        level = min(max(self.level - 1, 0), _NEAR)
        held = np.unique(self.cells >> (2 * (self.level - level)))
        nearby = np.zeros(12 * 4**level, dtype=bool)
        nearby[held] = True
        nearby[cells_around(held, level)] = True
        return level, nearby


def check_width(width: int) -> None:
    """Raise InputError unless a grid of the Earth may be so many pixels wide."""
    if width < 2 or width % 2:
        raise InputError(f"a heat map is {width:,} pixels wide; expected an even number from 2 on")
    if width * (width // 2) > MOST_PIXELS:
        most = 2 * int((MOST_PIXELS / 2) ** 0.5)
        raise InputError(
            f"a heat map of {width:,} by {width // 2:,} is {width * (width // 2):,} pixels; choose a width of up to "
            f"{most:,}"
        )


def _around(fine: Int64[np.ndarray, " n"], level: int) -> Int64[np.ndarray, "n 8"]:
    """Indices of the cells around each of ``fine``, ascending; n where they have no probability."""
    around = cells_around(fine, level)
    where = np.minimum(np.searchsorted(fine, around), len(fine) - 1)
    return np.where(fine[where] == around, where, len(fine))


def _mean(values: Float64[np.ndarray, "r f"], around: Int64[np.ndarray, "n 8"]) -> Float64[np.ndarray, "r f"]:
    """Half of each value and half of the mean around it, where it is 0 beyond the cells."""
    flat = np.append(values.ravel(), 0.0)
    return np.asarray((0.5 * flat[:-1] + 0.5 * flat[around].mean(axis=1)).reshape(values.shape))


def _with_masses(values: Float64[np.ndarray, "r f"], masses: Float64[np.ndarray, " r"]) -> Float64[np.ndarray, "r f"]:
    """``values`` changed in the middle of each cell, so that no step appears at its sides, to sum to its mass."""
    bump = _bump(values.shape[1])
    gain = (masses - values.sum(axis=1)) / np.maximum(values @ bump, 1e-300)
    values = values * np.maximum(1.0 + gain[:, None] * bump, 0.0)
    return np.asarray(values * (masses / values.sum(axis=1))[:, None])


def _highest(posterior: Posterior, masses: Float64[np.ndarray, " r"]) -> Float64[np.ndarray, " r"]:
    """What each cell would hold if all of it were as dense as its densest part may be; ``masses`` are descending.

    Outside a region that is what the region's last cell holds; a region's own cells have no limit.
    """
    highest = np.full_like(masses, _NO_LIMIT)
    for region in credible_regions(posterior):
        inside = len(region.cells)
        highest[inside:] = np.minimum(highest[inside:], masses[min(inside, len(masses)) - 1])
    return highest


def _up_to(
    highest: Float64[np.ndarray, " r"], values: Float64[np.ndarray, "r f"], masses: Float64[np.ndarray, " r"]
) -> Float64[np.ndarray, "r f"]:
    """``values`` of at most ``highest``; what that takes from a cell's mass is spread over its other parts."""
    lowered = np.minimum(values, highest[:, None])
    missing = masses - lowered.sum(axis=1)
    room = np.where(lowered < values, 0.0, highest[:, None] - lowered)
    room[missing <= 0] = 0.0
    middle = room * _bump(values.shape[1])
    room = np.where((missing <= middle.sum(axis=1))[:, None], middle, room)
    return np.asarray(lowered + room * (missing / np.maximum(room.sum(axis=1), 1e-300))[:, None])


def _bump(parts: int) -> Float64[np.ndarray, " f"]:
    """1 in the middle of a cell and nearly 0 at its sides, for each of its parts in nested order."""
    number, bits = np.arange(parts), max(1, (parts - 1).bit_length() // 2)
    at = np.zeros((2, parts), np.int64)  # in the cell, along its two sides
    for bit in range(bits):
        at |= np.stack([number >> 2 * bit & 1, number >> 2 * bit + 1 & 1]) << bit
    side = np.sin(np.pi * (at + 0.5) / 2**bits)
    return np.asarray(side[0] * side[1])
