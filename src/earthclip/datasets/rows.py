"""Rows of photos with places: columns, degrees, and columns that are swapped."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from earthclip.datasets.photos import Skipped, Store, StoredPhotos
from earthclip.errors import InputError
from earthclip.geo.countries import country_codes
from earthclip.geo.sphere import are_places, wrapped

_BEYOND = 0.02  # share of rows that lie on Earth only when swapped; typing errors are rarer
_ENOUGH = 20  # places, for shares on land to mean something
_SAMPLE = 2_000
_ON_LAND, _AT_SEA = 0.8, 0.4  # shares on land: what photos have at least, and what is too little for them


def swapped_columns(coordinates: Float64[np.ndarray, "n 2"]) -> str | None:
    """Why latitude and longitude of the whole table must have been swapped, as half a sentence; None when not.

    ``coordinates`` are as the table has them, in degrees and all finite. Told by latitudes beyond 90 where no
    longitude is beyond it, or else by land: photos lie on it as a rule, and these do only when swapped. Of a table of
    a region where both are land, nothing can be told.
    """
    if not len(coordinates):
        return None
    other = coordinates[:, ::-1]
    only_swapped = are_places(np.ascontiguousarray(other)) & ~are_places(coordinates)
    only_as_given = are_places(coordinates) & ~are_places(np.ascontiguousarray(other))
    if only_swapped.mean() >= _BEYOND and not only_as_given.any():
        found = f"{int(only_swapped.sum()):,} of {len(coordinates):,} latitudes are beyond 90, no longitude is"
        return f"latitude and longitude are swapped ({found})"
    if only_as_given.any() or only_swapped.any():
        return None
    places = np.unique(coordinates[are_places(coordinates)], axis=0)
    if len(places) < _ENOUGH:
        return None
    sample = places[np.linspace(0, len(places) - 1, min(len(places), _SAMPLE)).astype(np.int64)]
    given, turned = (_share_on_land(places) for places in (sample, np.ascontiguousarray(sample[:, ::-1])))
    if turned >= _ON_LAND and given <= _AT_SEA:
        found = f"{100 * given:.0f} % of the places are on land, {100 * turned:.0f} % when swapped"
        return f"latitude and longitude look swapped ({found})"
    return None


def _share_on_land(coordinates: Float64[np.ndarray, "n 2"]) -> float:
    codes = country_codes(coordinates)
    return sum(code is not None for code in codes) / len(codes)


NO_ID, NO_PLACE, NULL_ISLAND = "without an id", "without a place", "at (0, 0)"
NOT_NUMBERS, OFF_EARTH = "without numeric coordinates", "out of range"
SEEN_BEFORE, SEEN_ELSEWHERE = "whose id came before", "whose id came before at another place"
NO_FILE = "without a file"


@dataclass(frozen=True, eq=False)
class Scan:
    """A source that was looked through: the usable photos, how many rows there were, how many there should be.

    ``swapped`` says why the whole table must have its columns swapped, None when nothing speaks for it.
    """

    photos: StoredPhotos
    rows: int
    expected: int | None = None
    swapped: str | None = None

    def usable(self) -> StoredPhotos:
        """The photos. Raises InputError when there are none, or when the columns are swapped."""
        if self.swapped:
            raise InputError(
                f"{self.photos.name}: {self.swapped}; swap the two names in the header of the table, "
                "or get it again from where docs/data.md says"
            )
        if not len(self.photos):
            raise InputError(f"{self.photos.name}: no usable photo; {self.photos.skipped}")
        return self.photos


@dataclass(frozen=True, eq=False)
class Kept:
    """Rows with distinct ids on places; ``origin`` [n] are their numbers among all rows that were added."""

    ids: list[str]
    coordinates: Float64[np.ndarray, "n 2"]
    authors: list[str] | None
    origin: Int64[np.ndarray, " n"]


class Rows:
    """Takes rows as they were found and gives back those that can be used."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.skipped = Skipped()
        self.count = 0
        self.swapped: str | None = None
        self._ids: list[str] = []
        self._authors: list[str] = []
        self._degrees = array("d")
        self._origin = array("q")

    def add(self, name: str, latitude: object, longitude: object, author: str = "") -> None:
        """One row: numbers or text as it has them; None or nothing is a row without a place."""
        origin, self.count = self.count, self.count + 1
        if not name:
            self.skipped.add(NO_ID, f"row {origin + 1}")
            return
        if _is_missing(latitude) or _is_missing(longitude):
            self.skipped.add(NO_PLACE, name)
            return
        pair = degrees(latitude), degrees(longitude)
        if not all(map(math.isfinite, pair)):
            self.skipped.add(NOT_NUMBERS, f"{name}: {latitude}, {longitude}")
            return
        self._ids.append(name)
        self._authors.append(author)
        self._degrees.extend(pair)
        self._origin.append(origin)

    def leave_out(self, reason: str, name: str) -> None:
        """One row that was found to be of no use before its place was asked for."""
        self.count += 1
        self.skipped.add(reason, name)

    def kept(self, authors: bool) -> Kept:
        """The rows that can be used; ``authors`` whether the source knows them."""
        given = np.frombuffer(self._degrees, np.float64).reshape(-1, 2) if self._ids else np.empty((0, 2))
        self.swapped = swapped_columns(given)
        valid, at_null = are_places(given), (given == 0.0).all(axis=1)
        first: dict[str, int] = {}
        chosen: list[int] = []
        for row, name in enumerate(self._ids):
            if not valid[row]:
                self.skipped.add(OFF_EARTH, f"{name}: {given[row, 0]:g}, {given[row, 1]:g}")
            elif at_null[row]:
                self.skipped.add(NULL_ISLAND, name)
            elif name in first:
                same = bool((given[row] == given[first[name]]).all())
                self.skipped.add(SEEN_BEFORE if same else SEEN_ELSEWHERE, name)
            else:
                first[name] = row
                chosen.append(row)
        return Kept(
            [self._ids[row] for row in chosen],
            wrapped(given[chosen]),
            [self._authors[row] for row in chosen] if authors else None,
            np.array([self._origin[row] for row in chosen], np.int64),
        )

    def scan(self, kept: Kept, store: Store, rows: Int64[np.ndarray, " n"], expected: int | None = None) -> Scan:
        """What came of it, with the photos of ``kept`` at ``rows`` of ``store``; a row of -1 has no file."""
        photos = StoredPhotos(self.name, kept.ids, kept.coordinates, rows, store, kept.authors, self.skipped)
        there = rows >= 0
        for i in np.flatnonzero(~there):
            self.skipped.add(NO_FILE, kept.ids[i])
        return Scan(photos if there.all() else photos.take(np.flatnonzero(there)), self.count, expected, self.swapped)


def degrees(value: object) -> float:
    """A number, or text that is one; NaN for anything else."""
    if isinstance(value, bool):
        return math.nan
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(str(value).replace("_", "?"))  # Python reads 1_0 as 10
    except ValueError:
        return math.nan


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
