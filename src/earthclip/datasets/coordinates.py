"""Tables of coordinates, CSV or Parquet, read a chunk at a time with all their columns: they may be of any length.

Latitude and longitude are found by the names of their columns and read strictly; longitudes counted from 0 to 360
are wrapped.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64

from earthclip.errors import InputError, MissingExtraError
from earthclip.geo.sphere import are_places, check_degrees, degrees_fault, wrapped

LATITUDE_NAMES = ("lat", "latitude", "decimallatitude")  # the last is Darwin Core's, as in GBIF's tables
LONGITUDE_NAMES = ("lon", "lng", "long", "longitude", "decimallongitude")

_ROWS = 65_536  # in a chunk at most; much shorter row groups would swell the metadata of Parquet
_CELLS = 2_000_000  # in a chunk at most, some 120 MB as text; wide tables have fewer rows in a chunk


@dataclass(frozen=True, eq=False)  # arrays have no single truth to compare by
class Chunk:
    """Some rows of a table: ``coordinates`` [n,2] in degrees, and ``cells``, all columns as they stood in the table.

    ``cells`` are rows of text from CSV, each as long as the header, and a pyarrow RecordBatch from Parquet.
    """

    coordinates: Float64[np.ndarray, "n 2"]
    cells: Any


class CSVTable:
    """Rows of text; ``latitude`` and ``longitude`` are positions among ``columns``. Read once, from front to end."""

    n_rows: int | None = None  # not known before the end
    schema: Any = None  # text has none

    def __init__(self, lines: Iterable[str], source: str) -> None:
        """Reads the header. Raises InputError when it does not name the coordinates."""
        self.source = source
        self._reader = csv.reader(lines, strict=True)  # or an unbalanced quote would swallow the rows after it
        header: list[str] | None = []
        while header is not None and _is_blank(header):
            header = next(iter(self._read(1)), None)
        if header is None:
            raise InputError(f"{source}: empty; expected a header such as latitude,longitude and rows below it")
        self.columns = tuple(name.strip() for name in header)
        self.latitude, self.longitude = _both_columns(self.columns, source)

    def chunks(self) -> Iterator[Chunk]:
        """All rows but blank ones, in order. Raises InputError naming the line of the first row at fault."""
        size, found = _chunk_rows(len(self.columns)), False
        while rows := self._read(size):
            chunk = self._by_column(rows) or self._by_row(rows)
            if len(chunk.coordinates):
                found = True
                yield chunk
        if not found:
            raise InputError(f"{self.source}: no rows; expected at least one below the header")

    def _read(self, count: int) -> list[list[str]]:
        self._line = self._reader.line_num  # the last one before these rows
        try:
            return list(itertools.islice(self._reader, count))
        except csv.Error as error:
            where = f"{self.source}, line {self._reader.line_num}"
            raise InputError(f"{where}: not readable as CSV ({error}); correct the row") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{self.source}: not UTF-8 text; save the table as CSV in UTF-8") from error
        except OSError as error:
            raise InputError(f"{self.source}: cannot be read ({error.strerror}); check the disk") from error

    def _by_column(self, rows: list[list[str]]) -> Chunk | None:
        """The chunk when all its rows are as they should be; None when one is not, or is blank."""
        if set(map(len, rows)) != {len(self.columns)}:
            return None
        coordinates = np.empty((len(rows), 2))
        for axis, position in enumerate((self.latitude, self.longitude)):
            texts = [row[position] for row in rows]
            if "_" in "".join(texts):  # Python reads 1_0 as 10
                return None
            try:
                coordinates[:, axis] = np.fromiter(map(float, texts), np.float64, len(texts))
            except ValueError:
                return None
        return Chunk(wrapped(coordinates), rows) if are_places(coordinates).all() else None

    def _by_row(self, rows: list[list[str]]) -> Chunk:
        cells: list[list[str]] = []
        pairs: list[tuple[float, float]] = []
        line = self._line
        for row in rows:
            line += 1 + sum(map(_line_breaks, row))
            if _is_blank(row):
                continue
            where = f"{self.source}, line {line}"
            # a decimal comma makes rows longer than the header, and would be read as other degrees
            if len(row) <= max(self.latitude, self.longitude) or not _is_blank(row[len(self.columns) :]):
                expected = f"expected {len(self.columns)} values as in the header, found {len(row)}"
                raise InputError(f"{where}: {expected}; correct the row")
            latitude, longitude = (
                _number(row[position], self.columns[position], where) for position in (self.latitude, self.longitude)
            )
            if fault := degrees_fault(latitude, longitude):
                raise InputError(f"{where}: {fault}")
            pairs.append((latitude, longitude))
            cells.append((row + [""] * len(self.columns))[: len(self.columns)])
        return Chunk(wrapped(np.array(pairs, np.float64).reshape(-1, 2)), cells)


class ParquetTable:
    """A Parquet file; ``schema`` is pyarrow's, the other attributes are those of CSVTable."""

    def __init__(self, path: Path, all_columns: bool = True) -> None:
        """Reads the metadata. Raises InputError when it does not name the coordinates, MissingExtraError."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise MissingExtraError(str(path), "parquet", "pyarrow") from error
        self.source = str(path)
        self._all_columns = all_columns
        self._faults = (pyarrow.ArrowException, OSError)
        with self._reading():
            # with a buffer, a row group of any length is read in pieces
            self._file = pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20)
        self.n_rows = int(self._file.metadata.num_rows)
        self.schema = self._file.schema_arrow
        self.columns = tuple(self.schema.names)
        try:
            self.latitude, self.longitude = _both_columns(self.columns, self.source)
            for name in self._coordinate_names():
                self._check_type(name)
            if not self.n_rows:
                raise InputError(f"{self.source}: no rows; expected at least one")
        except InputError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def chunks(self) -> Iterator[Chunk]:
        """All rows in order. Raises InputError naming the first row at fault, counted from 0."""
        names = self.columns if self._all_columns else self._coordinate_names()
        batches = self._file.iter_batches(_chunk_rows(len(names)), columns=None if self._all_columns else list(names))
        row = 0
        while True:
            with self._reading():
                batch = next(batches, None)
                if batch is None:
                    return
                coordinates = np.stack([degrees_of(batch.column(name)) for name in self._coordinate_names()], axis=1)
            yield Chunk(check_degrees(coordinates, self.source, row), batch)
            row += len(coordinates)

    def _coordinate_names(self) -> tuple[str, str]:
        return self.columns[self.latitude], self.columns[self.longitude]

    def _check_type(self, name: str) -> None:
        import pyarrow.types as kinds

        kind = self.schema.field(name).type
        kind = kind.value_type if kinds.is_dictionary(kind) else kind
        known = (kinds.is_integer, kinds.is_floating, kinds.is_decimal, kinds.is_string, kinds.is_large_string)
        if not any(is_of(kind) for is_of in known):
            raise InputError(f"{self.source}: column {name} is of type {kind}; expected numbers of degrees")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except self._faults as error:
            reason = " ".join(str(error).split())[:160]
            raise InputError(f"{self.source}: not readable as Parquet ({reason}); write the table again") from error


CoordinateTable: TypeAlias = CSVTable | ParquetTable


@contextlib.contextmanager
def open_coordinates(path: str | Path, all_columns: bool = True) -> Iterator[CoordinateTable]:
    """The table at ``path``: Parquet where its name ends so, else UTF-8 CSV; ``-`` is CSV on standard input.

    Without ``all_columns``, the cells of a Parquet table need not be read and hold the coordinates alone.
    Raises InputError when there is no table or no coordinates in it, and MissingExtraError for Parquet without the
    extra ``parquet``.
    """
    if str(path) == "-":
        if sys.stdin is None:
            raise InputError("standard input is closed; name a file instead of -")
        text = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", newline="")
        try:
            yield CSVTable(text, "standard input")
        finally:
            text.detach()  # or standard input would be closed with it
        return
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"{path}: expected a CSV or Parquet file, found a folder; name the table inside it")
        file = path.open(encoding="utf-8-sig", newline="")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path of the table") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    with file:
        if path.suffix.lower() != ".parquet":
            yield CSVTable(file, str(path))
            return
    with contextlib.closing(ParquetTable(path, all_columns)) as table:
        yield table


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
            raise InputError(
                f"{source}: the columns {found} could all be meant; keep one of them, or rename the others"
            )
    return next(iter(latitude), None), next(iter(longitude), None)


def feature_names(width: int) -> list[str]:
    """Names for features that are to stand beside other columns: feature_000, feature_001, ..."""
    digits = max(3, len(str(width - 1)))
    return [f"feature_{i:0{digits}d}" for i in range(width)]


def _both_columns(columns: Sequence[str], source: str) -> tuple[int, int]:
    latitude, longitude = coordinate_columns(columns, source)
    if latitude is None or longitude is None:
        found = ", ".join(columns)
        found = repr(found if len(found) <= 80 else found[:77] + "...")
        raise InputError(
            f"{source}: expected a column called latitude or lat and one called longitude, lon or lng, "
            f"comma-separated in CSV, found {found}; add a header or rename the columns"
        )
    return latitude, longitude


def _number(text: str, column: str, where: str) -> float:
    value = _number_or_nan(text)
    if not math.isfinite(value):
        found = repr(text if len(text) <= 60 else text[:57] + "...") if text.strip() else "nothing"
        raise InputError(f"{where}: {column} must be a number of degrees, found {found}; correct or remove the row")
    return value


def _number_or_nan(text: str | None) -> float:
    try:
        return float((text or "").replace("_", "?"))  # Python reads 1_0 as 10
    except ValueError:
        return math.nan


def degrees_of(column: Any) -> Float64[np.ndarray, " n"]:
    """A pyarrow array of numbers, or of text that are numbers; NaN where one is missing or is none."""
    import pyarrow.types as kinds

    if kinds.is_dictionary(column.type):
        column = column.dictionary_decode()
    if kinds.is_string(column.type) or kinds.is_large_string(column.type):
        return np.fromiter(map(_number_or_nan, column.to_pylist()), np.float64, len(column))
    values: np.ndarray = column.cast("float64").to_numpy(zero_copy_only=False)
    return values


def _chunk_rows(columns: int) -> int:
    return max(1, min(_ROWS, _CELLS // columns))


def _is_blank(row: list[str]) -> bool:
    return not any(map(str.strip, row))


def _line_breaks(cell: str) -> int:
    return cell.count("\n") + cell.count("\r") - cell.count("\r\n")
