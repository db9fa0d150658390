"""The nearest of many places on the sphere, with nothing but numpy.

Unit vectors are sorted into cubes. The 27 cubes around a point hold every place within one side of the cube, so the
nearest place found among them is the nearest of all if it is no farther than that. The points for which it is not,
most of them at sea, are compared with balls that hold the places of large cubes: only balls that reach nearer than
the far side of some ball can hold the nearest.
"""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float, Int32, Int64

from earthclip.geo.sphere import EARTH_RADIUS_KM, unit_vectors

_SIDE = 0.004  # of the unit sphere: 25 km; 27 cubes hold some hundred towns in Europe
_BALL_SIDE = 0.06  # 400 km: two thousand balls for the towns of the Earth
_AROUND = np.array(list(itertools.product((-1, 0, 1), (-1, 0, 1))), dtype=np.int64)  # columns of three cubes each
_PAIRS = 400_000  # compared at a time: 30 MB


class NearestTown:
    """An index of places [m, 2] in degrees, m >= 1, for many queries; built at the first one."""

    def __init__(self, coordinates: Float[np.ndarray, "m 2"]) -> None:
        self._vectors = unit_vectors(coordinates)
        keys = _key(*_cubes(self._vectors, _SIDE).T)
        self._order = np.argsort(keys, kind="stable").astype(np.int32)
        self._keys = keys[self._order]
        balls = _key(*_cubes(self._vectors, _BALL_SIDE).T)
        self._ball_order = np.argsort(balls, kind="stable").astype(np.int32)
        starts = np.flatnonzero(np.diff(balls[self._ball_order], prepend=-1))
        self._ball_stops = np.append(starts[1:], len(balls))
        self._ball_starts = starts
        members = self._vectors[self._ball_order]
        sizes = self._ball_stops - starts
        self._centres = np.add.reduceat(members, starts) / sizes[:, None]
        off_centre = np.linalg.norm(members - np.repeat(self._centres, sizes, axis=0), axis=1)
        self._radii = np.maximum.reduceat(off_centre, starts) + 1e-9

    def query(self, coordinates: Float[np.ndarray, "n 2"]) -> tuple[Int64[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Row of the nearest place and great-circle distance to it in km, for every coordinate in degrees."""
        asked = unit_vectors(coordinates)
        rows = np.zeros(len(asked), dtype=np.int64)
        chords = np.full(len(asked), np.inf)
        step = max(1, _PAIRS // 9)
        for begin in range(0, len(asked), step):
            part = np.arange(begin, min(begin + step, len(asked)))
            self._search(asked, part, *self._around(asked[part]), self._order, rows, chords)
        left = np.flatnonzero(chords > _SIDE)
        step = max(1, _PAIRS // len(self._radii))
        for begin in range(0, len(left), step):
            part = left[begin : begin + step]
            self._search(asked, part, *self._balls(asked[part]), self._ball_order, rows, chords)
        return rows, 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chords / 2, 1.0))

    def _around(
        self, asked: Float[np.ndarray, "n 3"]
    ) -> tuple[Int64[np.ndarray, " r"], Int64[np.ndarray, " r"], Int64[np.ndarray, " r"]]:
        """For each range of places to compare: which point asks, and its first and last place in order of cubes."""
        x, y, z = _cubes(asked, _SIDE).T
        columns = _key(x[:, None] + _AROUND[:, 0], y[:, None] + _AROUND[:, 1], z[:, None]).ravel()
        starts = np.searchsorted(self._keys, columns - 1, side="left")
        stops = np.searchsorted(self._keys, columns + 1, side="right")
        full = stops > starts
        return np.repeat(np.arange(len(asked)), len(_AROUND))[full], starts[full], stops[full]

    def _balls(
        self, asked: Float[np.ndarray, "n 3"]
    ) -> tuple[Int64[np.ndarray, " r"], Int64[np.ndarray, " r"], Int64[np.ndarray, " r"]]:
        square = (asked**2).sum(axis=1)[:, None] + (self._centres**2).sum(axis=1) - 2 * asked @ self._centres.T
        chords = np.sqrt(np.maximum(square, 0.0))
        reach = (chords + self._radii).min(axis=1, keepdims=True) + 1e-6  # the square is good to 1e-15, its root is not
        point, ball = np.nonzero(chords - self._radii <= reach)
        return point, self._ball_starts[ball], self._ball_stops[ball]

    def _search(
        self,
        asked: Float[np.ndarray, "n 3"],
        part: Int64[np.ndarray, " p"],
        point: Int64[np.ndarray, " r"],
        starts: Int64[np.ndarray, " r"],
        stops: Int64[np.ndarray, " r"],
        order: Int32[np.ndarray, " m"],
        rows: Int64[np.ndarray, " n"],
        chords: Float[np.ndarray, " n"],
    ) -> None:
        """Write the nearest of the places in each point's ranges into ``rows`` and ``chords``; ranges by point."""
        ends = np.cumsum(stops - starts)
        rounds = np.searchsorted(ends, np.arange(_PAIRS, int(ends[-1]) if ends.size else 0, _PAIRS))
        for some in np.split(np.arange(len(point)), np.unique(rounds)):
            if not some.size:
                continue
            counts = stops[some] - starts[some]
            before = np.cumsum(counts) - counts
            owners = np.repeat(point[some], counts)
            candidates = order[np.arange(len(owners)) + np.repeat(starts[some] - before, counts)]
            square = ((self._vectors[candidates] - asked[part[owners]]) ** 2).sum(axis=1)
            begins = np.flatnonzero(np.diff(owners, prepend=-1))
            least = np.minimum.reduceat(square, begins)
            hits = np.flatnonzero(square == np.repeat(least, np.diff(np.append(begins, len(owners)))))
            _, first = np.unique(owners[hits], return_index=True)
            asking, chord = part[owners[begins]], np.sqrt(least)
            better = chord < chords[asking]  # a point's ranges may be split between two rounds
            chords[asking[better]] = chord[better]
            rows[asking[better]] = candidates[hits[first]][better]


def _cubes(vectors: Float[np.ndarray, "n 3"], side: float) -> Int64[np.ndarray, "n 3"]:
    return np.floor((vectors + 2.0) / side).astype(np.int64)


def _key(
    x: Int64[np.ndarray, "*#batch"], y: Int64[np.ndarray, "*#batch"], z: Int64[np.ndarray, "*#batch"]
) -> Int64[np.ndarray, "*batch"]:
    return np.asarray((x << 24) + (y << 12) + z)
