"""What becomes of rows: photos of which those at fault are left out and counted, or places that must all be right."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64, Int64

from earthclip.datasets.columns import Header, degrees, quoted, text_of
from earthclip.datasets.photos import FilesById, FileStore, Skipped, Store, StoredPhotos, authors_in, nfc
from earthclip.datasets.tables import open_table
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
    a region where both are land, the order cannot be determined.
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
NO_FILE, TOO_SHORT = "without a file", "with more or fewer values than the header"


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
        if not (text_of(latitude) and text_of(longitude)):
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
        names = [self._ids[row] for row in chosen]
        return Kept(
            names,
            wrapped(given[chosen]),
            [self._authors[row] for row in chosen] if authors else authors_in(names),
            np.array([self._origin[row] for row in chosen], np.int64),
        )

    def scan(self, kept: Kept, store: Store, rows: Int64[np.ndarray, " n"], expected: int | None = None) -> Scan:
        """What came of it, with the photos of ``kept`` at ``rows`` of ``store``; a row of -1 has no file."""
        photos = StoredPhotos(self.name, kept.ids, kept.coordinates, rows, store, kept.authors, self.skipped)
        there = rows >= 0
        for i in np.flatnonzero(~there):
            self.skipped.add(NO_FILE, kept.ids[i])
        return Scan(photos if there.all() else photos.take(np.flatnonzero(there)), self.count, expected, self.swapped)


def scan_table(
    path: Path, images: Path, expected: int | None = None, name: str | None = None, author: str | None = None
) -> Scan:
    """The rows of a table whose photos are in the folder ``images``, found by their names (see FilesById).

    ``author`` is the column of the photographers where its name does not say so.

    Raises InputError when there is no table, no folder, or a column is missing; rows at fault are left out and
    counted. MissingExtraError for Parquet without the extra ``parquet``.
    """
    _check_folder(images, path.name)
    rows, kept = read_rows(path, name, author)
    files = FilesById(images)
    found = [files.find(identity) for identity in kept.ids]
    there = np.array([i if file is not None else -1 for i, file in enumerate(found)], np.int64)
    return rows.scan(kept, FileStore(images, [file or "" for file in found]), there, expected)


def read_rows(path: Path, name: str | None = None, author: str | None = None) -> tuple[Rows, Kept]:
    """The rows of a table without a look at their photos, and those with a place. Raises as scan_table."""
    rows = Rows(name or path.name)
    with open_table(path, named=True) as table:
        if author is not None:
            table.author = table.position(author)
        for _, cells in table.rows(partial(rows.leave_out, TOO_SHORT)):
            place = cells[table.latitude], cells[table.longitude]
            rows.add(table.text(cells, table.name), *place, table.text(cells, table.author))
        return rows, rows.kept(table.author is not None)


@dataclass(frozen=True, eq=False)  # arrays have no single truth to compare by
class Places:
    """Pictures and where they were taken.

    ``ids`` are n distinct picture names, ``coordinates`` [n,2] their (latitude, longitude) in degrees, longitude in
    [-180, 180); ``name`` is that of the table, for messages. ``authors`` are who took them, None where nothing says.
    """

    ids: list[str]
    coordinates: Float[np.ndarray, "n 2"]
    name: str = "table"
    authors: list[str] | None = None

    def __len__(self) -> int:
        return len(self.ids)


def read_places(path: str | Path) -> Places:
    """Read a table strictly: every row must have a name of its own and a place.

    Raises InputError, in one line that names the file, the row and the column, for the first that has not.
    """
    path, seen, pairs = Path(path), dict[str, str](), list[tuple[float, float]]()
    ids, authors = list[str](), list[str]()
    with open_table(path, named=True) as table:
        for where, cells in table.rows():
            ids.append(name_of(table, where, cells, seen))
            pairs.append(table.place(where, cells))
            authors.append(table.text(cells, table.author))
        known = table.author is not None
    if not pairs:
        raise InputError(f"{path}: the table has no rows; expected at least one below its header")
    return Places(ids, wrapped(np.array(pairs, np.float64)), path.name, authors if known else authors_in(ids))


def read_authors(path: Path, column: str | None = None) -> list[str] | None:
    """The author of each row of a table, whatever its place; None where neither a column nor the names tell them.

    ``column`` is the column of the authors where its name does not say so. Raises InputError for an unreadable table.
    """
    with open_table(path, named=True) as table:
        table.author = table.author if column is None else table.position(column)
        rows = [(table.text(cells, table.name), table.text(cells, table.author)) for _, cells in table.rows(_pass_over)]
        return authors_in([name for name, _ in rows]) if table.author is None else [author for _, author in rows]


def _pass_over(_: str) -> None:
    """A row that is too short is of no use here."""


def read_column(path: Path, column: str) -> dict[str, str]:
    """The text of a column for each picture that a table names. Raises InputError for a column that is not there."""
    with open_table(path, named=True) as table:
        if (position := table.position(column)) is None:
            found = quoted(", ".join(table.columns), 80)
            raise InputError(f"{table.source}: no column {column!r}; expected one of its header {found}")
        rows = table.rows(_pass_over, [position])
        return {table.text(cells, table.name): table.text(cells, position) for _, cells in rows}


def scan_places(path: Path, images: Path) -> Scan:
    """As scan_table, strictly: a row without a name of its own, a place or a photo is an InputError."""
    places = read_places(path)
    names = [str(picture.relative_to(images)) for picture in find_pictures(places, images)]
    store = FileStore(images, names)
    rows = np.arange(len(names))
    photos = StoredPhotos(places.name, places.ids, places.coordinates, rows, store, places.authors)
    return Scan(photos, len(names))


def name_of(table: Header, where: str, cells: Sequence[object], seen: dict[str, str]) -> str:
    """The name in a row, which goes into ``seen``. Raises InputError for none, and for one that is there already."""
    name, column = table.text(cells, table.name), table.columns[table.name or 0]
    if not name:
        raise InputError(f"{table.source}, {where}: {column} is empty; give every row the name of its picture")
    if before := seen.get(nfc(name)):
        again = f"{column} {quoted(name)} already appeared on {before}"
        raise InputError(f"{table.source}, {where}: {again}; keep one row for each picture")
    seen[nfc(name)] = where
    return name


def find_pictures(places: Places, images: Path) -> list[Path]:
    """The file of each picture in the folder ``images``, in order. Raises InputError when the folder lacks some."""
    _check_folder(images, places.name)
    files = FilesById(images, anywhere=False)
    found = [files.find(name) for name in places.ids]
    if missing := [name for name, file in zip(places.ids, found, strict=True) if file is None]:
        raise InputError(
            f"{len(missing)} of {len(places)} pictures of {places.name} are not in {images}, "
            f"e.g. {missing[0]!r}; --images must name the folder that holds them all"
        )
    return [images / file for file in found if file is not None]


def _check_folder(images: Path, table: str) -> None:
    if not images.is_dir():
        raise InputError(f"{images}: expected the folder of the photos of {table}, found none; give it with --images")
