"""Which pictures are alike: those of one author, or of one value of any column; and those whose authors are known.

Photos of one photographer show the same trip with the same eye. Intervals that take them as independent are too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from earthclip.datasets.benchmarks import find_benchmark, table_of
from earthclip.datasets.columns import AUTHOR_NAMES, quoted
from earthclip.datasets.photos import PhotoSet
from earthclip.datasets.rows import Places, read_authors, read_column
from earthclip.datasets.splits import without_authors_of
from earthclip.datasets.tables import SUFFIXES
from earthclip.errors import InputError

AUTHOR = "author"


@dataclass(frozen=True, eq=False)
class Grouping:
    """The group of each of n pictures, ``numbers`` [n] from 0, by the values of ``column``; at least two groups."""

    column: str
    numbers: Int64[np.ndarray, " n"]

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self.numbers.max()) + 1

    @property
    def largest(self) -> int:
        """The number of pictures in the largest group."""
        return int(np.bincount(self.numbers).max())


def grouping_of(
    truth: Places | PhotoSet, column: str | None, source: str, rows: Int64[np.ndarray, " m"]
) -> Grouping | None:
    """The groups of the pictures ``rows`` of ``truth``, which was read from ``source``.

    By ``column`` of the table, or by author where it is None and the authors of more than one picture group are known;
    else there are no groups. A picture without a value is on its own. Raises InputError, in one line, for a column
    that is not there or has one value only.
    """
    if column is None or (column.casefold() in AUTHOR_NAMES and truth.authors is not None):
        values, name = truth.authors, column or AUTHOR
    else:
        found = read_column(_table(truth, column, source), column)
        values, name = [found.get(picture, "") for picture in truth.ids], column
    if not len(rows):
        return None
    numbers = None if values is None or not any(values) else numbered([values[row] for row in rows.tolist()])
    if numbers is not None and numbers.max(initial=0) > 0:
        return Grouping(name, numbers)
    if column is None:
        return None
    if values is None or not any(values):
        raise InputError(f"{truth.name}: column {column} is empty; group by a column that has values")
    one = quoted(values[rows[0]])
    raise InputError(
        f"{truth.name}: all {len(rows):,} pictures have {one} in column {column}; intervals by {column} need two groups"
    )


def apart_from(truth: Places | PhotoSet, table: str) -> tuple[Int64[np.ndarray, " m"], str]:
    """The rows of ``truth`` whose authors have no picture in ``table``, and how many were left out, in words.

    ``table`` is a file, or a benchmark such as ``mp16:FOLDER``, of which no picture is looked for. Raises InputError
    where either does not know authors, and when no picture is left.
    """
    benchmark = find_benchmark(table)
    path, author = (table_of(*benchmark), benchmark[0].author) if benchmark else (Path(table), None)
    others = read_authors(path, author)
    kept = without_authors_of(truth, Places([], np.empty((0, 2)), table, others))
    if not len(kept):
        raise InputError(f"{truth.name}: all {len(truth):,} pictures are by authors in {table}; nothing is left")
    authors = {author for author in truth.authors or [] if author} & set(others or [])
    left_out = len(truth) - len(kept)
    return kept, f"{left_out:,} of {len(truth):,} pictures left out, by {len(authors):,} authors who are in {table} too"


def _table(truth: Places | PhotoSet, column: str, source: str) -> Path:
    if benchmark := find_benchmark(source):
        return table_of(*benchmark)
    if Path(source).suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{truth.name}: only tables have a column {column!r}; leave --group-by out, or give a table of the photos"
        )
    return Path(source)


def numbered(values: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """The group of each picture from 0 on, by its value; a picture without a value is on its own."""
    numbers: dict[str, int] = {}
    alone = (f"\0{row}" for row in range(len(values)))
    return np.array([numbers.setdefault(value or next(alone), len(numbers)) for value in values], np.int64)
