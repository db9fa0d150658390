"""Embeddings of coordinates or pictures as ``.npy``, or beside the columns of their table as CSV or Parquet.

They are written as they come, so that any number of rows takes the memory of one chunk. A row of NaN stands for a
picture that could not be read: it is NaN in ``.npy``, empty in CSV and null in Parquet.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32

from earthclip.datasets.columns import feature_names, numbers
from earthclip.datasets.tables import CSVTable, ParquetTable
from earthclip.errors import OutputError
from earthclip.files import atomic_write, refuse_existing, remove_left
from earthclip.outputs.geoparquet import import_pyarrow

_ROWS_OF_TEXT = 1024  # formatted at a time: 6 MB where there are 512 features


@dataclass(frozen=True)
class PictureTable:
    """The columns that stand beside the embeddings of pictures: the path, and what was wrong with the picture."""

    source: str = "pictures"
    columns: tuple[str, ...] = ("path", "error")
    schema: None = None


Table: TypeAlias = CSVTable | ParquetTable | PictureTable


class FeatureWriter(Protocol):
    """Takes rows in order; ``close`` completes the document but leaves the file open."""

    def write(self, cells: Any, features: Float32[np.ndarray, "n d"]) -> None:
        """Write the features of some rows, whose ``cells`` are as in ``Chunk``."""

    def close(self) -> None:
        """Write what the document still needs to be valid."""


class NpyWriter:
    """A float32 array ``[n, d]``, of which n is known at the end."""

    def __init__(self, file: IO[bytes], table: Table, width: int) -> None:
        self._file, self._width, self._rows = file, width, 0
        self._write_header()

    def write(self, cells: Any, features: Float32[np.ndarray, "n d"]) -> None:
        """Append the features alone."""
        self._file.write(np.ascontiguousarray(features, "<f4").data)
        self._rows += len(features)

    def close(self) -> None:
        """Write the number of rows into the header."""
        end = self._file.tell()
        self._file.seek(0)
        self._write_header()
        self._file.seek(end)

    def _write_header(self) -> None:
        # NumPy pads the header so that the first axis can grow; its length is the same for every number of rows
        shape = {"shape": (self._rows, self._width), "fortran_order": False, "descr": "<f4"}
        np.lib.format.write_array_header_1_0(self._file, shape)


class CSVFeatureWriter:
    """The table's cells, then the features with the 9 digits that tell any two float32 apart."""

    def __init__(self, file: IO[bytes], table: Table, width: int) -> None:
        self._file = file
        # Ended by \r\n, as this decides what is quoted: Python before 3.13 leaves other line breaks bare.
        self._cells = csv.writer(_Line(), lineterminator="\r\n")
        self._pattern, self._blank = ",%.9g" * width + "\n", "," * width + "\n"
        names = "".join(f",{name}" for name in (feature_names(width) if width else ()))
        self._file.write(f"{self._line(table.columns)}{names}\n".encode())

    def write(self, cells: Any, features: Float32[np.ndarray, "n d"]) -> None:
        """Append one line for each row."""
        rows = zip(_rows_of_text(cells), features, _failed(features), strict=True)
        while block := list(itertools.islice(rows, _ROWS_OF_TEXT)):
            lines = [
                self._line(cells) + (self._blank if failed else self._pattern % tuple(row.tolist()))
                for cells, row, failed in block
            ]
            self._file.write("".join(lines).encode())

    def close(self) -> None:
        """Nothing is left to write."""

    def _line(self, cells: Any) -> str:
        return str(self._cells.writerow(cells))


class ParquetFeatureWriter:
    """The table's columns, then a float32 column for each feature; a row group for each chunk.

    Columns of a CSV table become text, whatever they look like, but for latitude and longitude.
    """

    def __init__(self, file: IO[bytes], table: Table, width: int) -> None:
        """Raises MissingExtraError without the extra ``parquet``, OutputError when columns share a name."""
        pyarrow = import_pyarrow()
        if doubled := [name for name in table.columns if table.columns.count(name) > 1]:
            raise OutputError(f"{table.source}: column '{doubled[0]}' appears twice; Parquet needs different names")
        self._places = () if isinstance(table, PictureTable) else (table.latitude, table.longitude)
        schema = table.schema
        if schema is None:
            kinds = [pyarrow.string()] * len(table.columns)
            for position in self._places:
                kinds[position] = pyarrow.float64()
            schema = pyarrow.schema(list(zip(table.columns, kinds, strict=True)))
        for name in feature_names(width):
            schema = schema.append(pyarrow.field(name, pyarrow.float32()))
        self._schema = schema
        # Features hardly repeat: dictionaries would be tried in vain, and minima and maxima only cost memory.
        columns = list(table.columns)
        self._writer = pyarrow.parquet.ParquetWriter(file, schema, use_dictionary=columns, write_statistics=columns)

    def write(self, cells: Any, features: Float32[np.ndarray, "n d"]) -> None:
        """Append the rows of a chunk."""
        pyarrow = import_pyarrow()
        if isinstance(cells, list):
            columns: list[Any] = [list(column) for column in zip(*cells, strict=True)]
            for position in self._places:
                columns[position] = numbers(columns[position])
            columns = [pyarrow.array(column) for column in columns]
        else:
            columns = cells.columns
        failed = _failed(features)
        columns += [pyarrow.array(column, mask=failed) for column in np.ascontiguousarray(features.T)]
        self._writer.write_table(pyarrow.Table.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        """Write the metadata."""
        self._writer.close()


_WRITERS: dict[str, type[NpyWriter] | type[CSVFeatureWriter] | type[ParquetFeatureWriter]] = {
    ".npy": NpyWriter,
    ".csv": CSVFeatureWriter,
    ".parquet": ParquetFeatureWriter,
}


def check_features_path(path: Path | None, overwrite: bool = False) -> None:
    """Raise OutputError when features cannot be written to ``path``, before any work is done for them."""
    if path is None:
        return
    if path.suffix.lower() not in _WRITERS:
        raise OutputError(f"{path}: expected a name that ends in {', '.join(_WRITERS)}; the suffix sets the format")
    if path.exists() and not path.is_file():  # to overwrite would put a file in the place of a device
        raise OutputError(
            f"{path}: expected a file to write, found a {'folder' if path.is_dir() else 'device or pipe'}"
        )
    if not overwrite:
        refuse_existing(path)
    if not path.parent.is_dir():
        raise OutputError(f"{path}: no such folder {path.parent}; create it, or choose another")
    if path.suffix.lower() == ".parquet":
        import_pyarrow()


def files_of(path: Path | None) -> list[Path]:
    """The files that features for ``path`` are written to."""
    return [] if path is None else [path] if keeps_columns(path) else [path, names_beside(path)]


def keeps_columns(path: Path | None) -> bool:
    """Whether features in ``path`` stand beside the columns of their table."""
    return path is None or path.suffix.lower() != ".npy"


def names_beside(path: Path) -> Path:
    """Where the paths stand whose embeddings are in the array at ``path``: FILE.npy.csv."""
    return path.with_name(f"{path.name}.csv")


@contextlib.contextmanager
def open_features(path: Path | None, table: Table, width: int, *, overwrite: bool = False) -> Iterator[FeatureWriter]:
    """A writer of ``width`` features for each row of ``table``; ``path`` appears when the block ends well.

    Raises what ``check_features_path`` raises, and OutputError when the table has columns of the features' names.
    """
    check_features_path(path, overwrite)
    if keeps_columns(path) and (taken := sorted(set(table.columns) & set(feature_names(width)))):
        raise OutputError(f"{table.source}: already has a column {taken[0]}; remove or rename it, or write .npy")
    if path is None:
        yield CSVFeatureWriter(sys.stdout.buffer, table, width)
        sys.stdout.buffer.flush()
        return
    for left in (path, names_beside(path)):
        remove_left(left)
    with contextlib.ExitStack() as files:
        writer: FeatureWriter = _WRITERS[path.suffix.lower()](
            files.enter_context(atomic_write(path, overwrite=overwrite)), table, width
        )
        if isinstance(table, PictureTable) and isinstance(writer, NpyWriter):
            beside = files.enter_context(atomic_write(names_beside(path), overwrite=overwrite))
            writer = _ArrayWithNames(writer, CSVFeatureWriter(beside, table, 0))
        try:
            yield writer
        finally:
            writer.close()


class _ArrayWithNames:
    """An array, and the columns of its rows in a table beside it."""

    def __init__(self, array: NpyWriter, names: CSVFeatureWriter) -> None:
        self._array, self._names = array, names

    def write(self, cells: Any, features: Float32[np.ndarray, "n d"]) -> None:
        """Append to both."""
        self._array.write(cells, features)
        self._names.write(cells, features[:, :0])

    def close(self) -> None:
        """Complete the array."""
        self._array.close()


class _Line:
    """What csv.writer writes to: hands the line back, without its end."""

    def write(self, line: str) -> str:
        return line.removesuffix("\r\n")


def _failed(features: Float32[np.ndarray, "n d"]) -> Bool[np.ndarray, " n"]:
    failed: np.ndarray = np.isnan(features[:, :1]).any(axis=1)
    return failed


def _rows_of_text(cells: Any) -> Iterator[Any]:
    """Rows of text, of a chunk's cells of either kind."""
    return iter(cells) if isinstance(cells, list) else zip(*map(_texts, cells.columns), strict=True)


def _texts(column: Any) -> list[str | None]:
    """A pyarrow column as text: bytes in hexadecimal, and what pyarrow has no text for, such as lists, as Python's."""
    pyarrow = import_pyarrow()
    if any(str(column.type).startswith(kind) for kind in ("binary", "large_binary", "fixed_size_binary")):
        return [None if value is None else value.hex() for value in column.to_pylist()]
    try:
        texts: list[str | None] = column.cast(pyarrow.string()).to_pylist()
    except pyarrow.ArrowException:
        return [None if value is None else str(value) for value in column.to_pylist()]
    return texts
