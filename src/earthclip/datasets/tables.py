"""The one reader of tables with coordinates, CSV or Parquet, a chunk or a row at a time: they may be of any length.

Chunks are read strictly; whoever reads rows decides what becomes of those at fault (rows.py).
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64

from earthclip.datasets.columns import Header, degrees_of, delimiter_of, numbers
from earthclip.errors import InputError, MissingExtraError
from earthclip.geo.sphere import are_places, wrapped

SUFFIXES = (".csv", ".tsv", ".parquet")

_ROWS = 65_536  # in a chunk at most; much shorter row groups would swell the metadata of Parquet
_CELLS = 2_000_000  # in a chunk at most, some 120 MB as text; wide tables have fewer rows in a chunk


@dataclass(frozen=True, eq=False)  # arrays have no single truth to compare by
class Chunk:
    """Some rows of a table: ``coordinates`` [n,2] in degrees, and ``cells``, all columns as they stood in the table.

    ``cells`` are rows of text from CSV, each as long as the header, and a pyarrow RecordBatch from Parquet.
    """

    coordinates: Float64[np.ndarray, "n 2"]
    cells: Any


class CSVTable(Header):
    """Rows of text in UTF-8, or in UTF-16 with a byte order mark; between commas, tabs or semicolons.

    Read once, from front to end.
    """

    n_rows: int | None = None  # not known before the end
    schema: Any = None  # text has none

    def __init__(self, file: Any, source: str, named: bool = False) -> None:
        """Reads the header of a file opened in binary. Raises InputError when it lacks a column that is needed."""
        self.source, self._named = source, named
        self._binary = io.BufferedReader(file)
        wide = self._binary.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff")
        self._text = io.TextIOWrapper(self._binary, encoding="utf-16" if wide else "utf-8-sig", newline="")
        first: list[str] = []
        with self._reading():
            for line in self._text:
                first.append(line)
                if line.strip(" \t\r\n,;"):
                    break
        lines = itertools.chain(first, self._text)
        # strict: an unbalanced quote would otherwise swallow the rows after it
        self._reader = csv.reader(lines, delimiter=delimiter_of(first[-1] if first else ""), strict=True)
        header: list[str] | None = []
        while header is not None and _is_blank(header):
            header = next(iter(self._read(1)), None)
        if header is None:
            example = "filename,latitude,longitude" if named else "latitude,longitude"
            raise InputError(f"{source}: empty; expected a header such as {example} and rows below it")
        super().__init__(source, [name.strip() for name in header], named)

    def close(self) -> None:
        """Let go of the file, which stays open."""
        self._text.detach()
        self._binary.detach()

    def chunks(self) -> Iterator[Chunk]:
        """All rows but blank ones, in order. Raises InputError naming the line of the first row at fault."""
        while rows := self._read(_chunk_rows(len(self.columns))):
            chunk = self._by_column(rows) or self._by_row(rows)
            if len(chunk.coordinates):
                yield chunk

    def rows(
        self, left_out: Callable[[str], None] | None = None, more: Sequence[int] = ()
    ) -> Iterator[tuple[str, Sequence[object]]]:
        """Each row that is not blank: where it is, and its cells, as many as the header's.

        ``left_out`` hears where rows are that are longer than the header or too short; without it they raise
        InputError. ``more`` are positions of columns to be read beside those that the table has attributes for.
        """
        while rows := self._read(_chunk_rows(len(self.columns))):
            yield from self._fitting(rows, left_out)

    def _read(self, count: int) -> list[list[str]]:
        self._line = self._reader.line_num  # the last one before these rows
        with self._reading():
            return list(itertools.islice(self._reader, count))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except csv.Error as error:
            where = f"{self.source}, line {self._reader.line_num}"
            raise InputError(f"{where}: not readable as CSV ({error}); correct the row") from error
        except UnicodeError as error:
            raise InputError(f"{self.source}: not UTF-8 text; save the table as CSV in UTF-8") from error
        except OSError as error:
            raise InputError(
                f"{self.source}: cannot be read ({error.strerror}); check the path and its permissions"
            ) from error

    def _by_column(self, rows: list[list[str]]) -> Chunk | None:
        """The chunk when all its rows are as they should be; None when one is not, or is blank."""
        if set(map(len, rows)) != {len(self.columns)}:
            return None
        try:
            columns = [numbers([row[position] for row in rows]) for position in (self.latitude, self.longitude)]
        except ValueError:
            return None
        coordinates = np.stack(columns, axis=1)
        return Chunk(wrapped(coordinates), rows) if are_places(coordinates).all() else None

    def _by_row(self, rows: list[list[str]]) -> Chunk:
        found = [(self.place(where, cells), cells) for where, cells in self._fitting(rows, None)]
        places = np.array([place for place, _ in found], np.float64).reshape(-1, 2)
        return Chunk(wrapped(places), [cells for _, cells in found])

    def _fitting(
        self, rows: list[list[str]], left_out: Callable[[str], None] | None
    ) -> Iterator[tuple[str, list[str]]]:
        line, width = self._line, len(self.columns)
        needed = 1 + max(self.latitude, self.longitude, self.name or 0 if self._named else 0)
        for row in rows:
            line += 1 + sum(map(_line_breaks, row))
            if _is_blank(row):
                continue
            # between commas a decimal comma makes rows longer than the header, and would be read as other degrees
            if len(row) >= needed and _is_blank(row[width:]):
                yield f"line {line}", (row + [""] * width)[:width]
            elif left_out is None:
                expected = f"expected {width} values as in the header, found {len(row)}"
                raise InputError(f"{self.source}, line {line}: {expected}; correct the row")
            else:
                left_out(f"line {line}")


class ParquetTable(Header):
    """A Parquet file; ``schema`` is pyarrow's, the other attributes are those of CSVTable."""

    def __init__(self, path: Path, named: bool = False, all_columns: bool = True) -> None:
        """Reads the metadata. Raises InputError when a column is missing or not of numbers, MissingExtraError."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise MissingExtraError(str(path), "parquet", "pyarrow") from error
        self.source = str(path)
        self._all_columns = all_columns
        self._faults = (pyarrow.ArrowException, OSError, KeyError)  # KeyError: two columns of one name
        with self._reading():
            # with a buffer, a row group of any length is read in pieces
            self._file = pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20)
        self.n_rows = int(self._file.metadata.num_rows)
        self.schema = self._file.schema_arrow
        try:
            super().__init__(self.source, self.schema.names, named)
            self._check_types()
        except InputError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def chunks(self) -> Iterator[Chunk]:
        """All rows in order. Raises InputError naming the first row at fault, counted from 0."""
        places = (self.latitude, self.longitude)
        row = 0
        for batch in self._batches(range(len(self.columns)) if self._all_columns else places):
            with self._reading():
                coordinates = np.stack([degrees_of(batch.column(self.columns[side])) for side in places], axis=1)
            valid = are_places(coordinates)
            if not valid.all():
                first = int(np.argmin(valid))
                for where, cells in self._rows_of(batch.slice(first, 1), row + first, places):
                    self.place(where, cells)  # says what is wrong
            yield Chunk(wrapped(coordinates), batch)
            row += len(coordinates)

    def rows(
        self, left_out: Callable[[str], None] | None = None, more: Sequence[int] = ()
    ) -> Iterator[tuple[str, Sequence[object]]]:
        """As those of a CSVTable, where all rows are as long as the header. Cells that are not read are None."""
        wanted = [p for p in (self.latitude, self.longitude, self.name, self.author, *more) if p is not None]
        row = 0
        for batch in self._batches(wanted):
            yield from self._rows_of(batch, row, wanted)
            row += batch.num_rows

    def _batches(self, positions: Sequence[int]) -> Iterator[Any]:
        names = [self.columns[position] for position in positions]
        batches = self._file.iter_batches(_chunk_rows(len(names)), columns=names)
        while True:
            with self._reading():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _rows_of(self, batch: Any, first: int, positions: Sequence[int]) -> Iterator[tuple[str, Sequence[object]]]:
        with self._reading():
            columns = [batch.column(self.columns[position]).to_pylist() for position in positions]
        blank: list[object] = [None] * len(self.columns)
        for number, values in enumerate(zip(*columns, strict=True), start=first):
            cells = blank.copy()
            for position, value in zip(positions, values, strict=True):
                cells[position] = value
            yield f"row {number} (counted from 0)", cells

    def _check_types(self) -> None:
        import pyarrow.types as kinds

        known = (kinds.is_integer, kinds.is_floating, kinds.is_decimal, kinds.is_string, kinds.is_large_string)
        for position in (self.latitude, self.longitude):
            kind = self.schema.field(position).type
            kind = kind.value_type if kinds.is_dictionary(kind) else kind
            if not any(is_of(kind) for is_of in known):
                column = self.columns[position]
                raise InputError(f"{self.source}: column {column} is of type {kind}; expected numbers of degrees")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except self._faults as error:
            reason = " ".join(str(error).split())[:160]
            raise InputError(f"{self.source}: not readable as Parquet ({reason}); write the table again") from error


Table: TypeAlias = CSVTable | ParquetTable


@contextlib.contextmanager
def open_table(path: str | Path, *, named: bool = False, all_columns: bool = True) -> Iterator[Table]:
    """The table at ``path``: Parquet where its name ends so, else CSV; ``-`` is CSV on standard input.

    ``named`` tables must have a column that names photos. Without ``all_columns``, the chunks of a Parquet table need
    not be read whole and hold the coordinates alone. Raises InputError when there is no table or a column is missing,
    and MissingExtraError for Parquet without the extra ``parquet``.
    """
    if str(path) == "-":
        if sys.stdin is None:
            raise InputError("standard input is closed; name a file instead of -")
        with contextlib.closing(CSVTable(sys.stdin.buffer, "standard input", named)) as table:
            yield table
        return
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"{path}: expected a CSV or Parquet file, found a folder; name the table inside it")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path of the table") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    with file:
        if path.suffix.lower() != ".parquet":
            with contextlib.closing(CSVTable(file, str(path), named)) as table:
                yield table
            return
    with contextlib.closing(ParquetTable(path, named, all_columns)) as parquet:
        yield parquet


def _chunk_rows(columns: int) -> int:
    return max(1, min(_ROWS, _CELLS // columns))


def _is_blank(row: list[str]) -> bool:
    return not any(map(str.strip, row))


def _line_breaks(cell: str) -> int:
    return cell.count("\n") + cell.count("\r") - cell.count("\r\n")
