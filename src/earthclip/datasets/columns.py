"""What the columns of tables are called, and how their cells are read: numbers with a decimal point or comma."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from earthclip.errors import InputError
from earthclip.geo.sphere import degrees_fault

LATITUDE_NAMES = ("lat", "latitude", "decimallatitude")  # the last is Darwin Core's, as in GBIF's tables
LONGITUDE_NAMES = ("lon", "lng", "long", "longitude", "decimallongitude")
# The first of these that a table has names its photos. A file name goes before an id, which need not find the file.
NAME_NAMES = (
    *("filename", "file_name", "file", "image_file", "img_file", "image_path", "img_path", "filepath"),
    *("image", "img", "photo", "picture", "img_id", "image_id", "photo_id", "path", "id", "key", "__key__"),
)
AUTHOR_NAMES = ("author", "ownernsid", "photographer", "user_nsid", "owner", "user", "creator_username", "creator")

_LONGEST_HEADER = 100_000  # characters in which the delimiter is looked for


class Header:
    """The columns of a table, and where those are that are needed.

    ``latitude``, ``longitude``, ``name`` (of a photo) and ``author`` are positions among ``columns``; the last two are
    None where there is no such column.
    """

    def __init__(self, source: str, columns: Sequence[str], named: bool = False) -> None:
        """``source`` is for messages; ``named`` tables must name photos.

        Raises InputError naming columns that are missing or ambiguous.
        """
        self.source, self.columns = source, tuple(columns)
        latitude, longitude = coordinate_columns(columns, source)
        self.name, self.author = self._first_of(NAME_NAMES), self._first_of(AUTHOR_NAMES)
        if named and self.name is not None and (times := self.columns.count(columns[self.name])) > 1:
            raise InputError(f"{source}: column {columns[self.name]} appears {times} times; keep one of them")
        if latitude is None or longitude is None or (named and self.name is None):
            wanted = [("a latitude (lat or latitude)", latitude), ("a longitude (lon, lng or longitude)", longitude)]
            wanted += [("a file name (filename, image or IMG_ID)", self.name)] if named else []
            missing = " and ".join(what for what, position in wanted if position is None)
            found = quoted(", ".join(columns), 80)
            raise InputError(f"{source}: no column of {missing} in the header {found}; add a header, or rename columns")
        self.latitude, self.longitude = latitude, longitude

    def position(self, name: str) -> int | None:
        """Where the column of this name is; None where there is none."""
        return self.columns.index(name) if name in self.columns else None

    def text(self, cells: Sequence[object], position: int | None) -> str:
        """A cell of a row as text without outer spaces; nothing for an empty one or where there is no such column."""
        return "" if position is None else text_of(cells[position])

    def place(self, where: str, cells: Sequence[object]) -> tuple[float, float]:
        """The degrees of a row as they stand in it. Raises InputError, which names the row and its column."""
        pair = degrees(cells[self.latitude]), degrees(cells[self.longitude])
        for position, number in zip((self.latitude, self.longitude), pair, strict=True):
            if not math.isfinite(number):
                wanted = f"{self.columns[position]} must be a number of degrees, found {quoted(cells[position])}"
                raise InputError(f"{self.source}, {where}: {wanted}; correct or remove the row")
        if fault := degrees_fault(*pair):
            raise InputError(f"{self.source}, {where}: {fault}")
        return pair

    def _first_of(self, known: Sequence[str]) -> int | None:
        names = [name.strip().casefold() for name in self.columns]
        return next((names.index(name) for name in known if name in names), None)


def coordinate_columns(columns: Sequence[str], source: str) -> tuple[int | None, int | None]:
    """Positions of the columns that are called latitude and longitude, in any case; None where none is.

    Raises InputError when several are called so.
    """
    latitude, longitude = (
        [position for position, name in enumerate(columns) if str(name).strip().casefold() in known]
        for known in (LATITUDE_NAMES, LONGITUDE_NAMES)
    )
    for positions in (latitude, longitude):
        if len(positions) > 1:
            found = ", ".join(str(columns[position]) for position in positions)
            raise InputError(f"{source}: ambiguous columns {found}; keep one of them, or rename the others")
    return next(iter(latitude), None), next(iter(longitude), None)


def delimiter_of(header: str) -> str:
    """The separator of the names in a line: the sign by which it names coordinates, or else the most names."""

    def fitness(sign: str) -> tuple[bool, int]:
        names = next(csv.reader([header[:_LONGEST_HEADER]], delimiter=sign), [])
        known = {name.strip().casefold() for name in names}
        return not (known.isdisjoint(LATITUDE_NAMES) or known.isdisjoint(LONGITUDE_NAMES)), len(names)

    return max(",\t;", key=fitness)  # of equals the first


def feature_names(width: int) -> list[str]:
    """Names for features that are to stand beside other columns: feature_000, feature_001, ..."""
    digits = max(3, len(str(width - 1)))
    return [f"feature_{i:0{digits}d}" for i in range(width)]


def degrees(value: object) -> float:
    """A number, or text that is one with a point or a comma; NaN for anything else."""
    if isinstance(value, bool):
        return math.nan
    try:
        return float(value) if isinstance(value, int | float) else float(_with_point(str(value)))
    except (ValueError, OverflowError):  # OverflowError: a whole number of hundreds of digits
        return math.nan


def numbers(texts: list[str]) -> Float64[np.ndarray, " n"]:
    """As ``degrees``, of many texts at once. Raises ValueError when one of them is not a number."""
    joined = "".join(texts)
    if "_" in joined or "," in joined:
        texts = list(map(_with_point, texts))
    return np.fromiter(map(float, texts), np.float64, len(texts))


def degrees_of(column: Any) -> Float64[np.ndarray, " n"]:
    """A pyarrow array of numbers, or of text that are numbers; NaN where one is missing or is none."""
    import pyarrow.types as kinds

    if kinds.is_dictionary(column.type):
        column = column.dictionary_decode()
    if kinds.is_string(column.type) or kinds.is_large_string(column.type):
        return np.fromiter(map(degrees, column.to_pylist()), np.float64, len(column))
    values: np.ndarray = column.cast("float64").to_numpy(zero_copy_only=False)
    return values


def text_of(cell: object) -> str:
    """A cell as text without outer spaces; nothing for an empty one."""
    return "" if cell is None else str(cell).strip()


def quoted(cell: object, longest: int = 60) -> str:
    """A cell for messages: one printable, quoted line of bounded length, or "nothing"."""
    text = text_of(cell)
    return repr(text if len(text) <= longest else f"{text[: longest - 3]}...") if text else "nothing"


def _with_point(text: str) -> str:
    return text.replace(",", ".").replace("_", "?")  # Python reads 1_0 as 10
