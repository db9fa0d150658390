"""Blocks of inputs, the unit of work on a cluster: which picture files and which rows of tables each is made of.

Ray Data hands out these names, and workers read what they name themselves. With Ray Data's readers, a picture that is
missing or damaged would end the run or vanish from it, and nothing would say which row of its table a row is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from earthclip.cluster.storage import below, folder_of, is_address, open_storage, read_bytes
from earthclip.datasets.shards import reason
from earthclip.errors import InputError
from earthclip.outputs.geoparquet import import_pyarrow
from earthclip.outputs.table import printable
from earthclip.pictures.prepare import Failure
from earthclip.pictures.reader import Named

TABLE_SUFFIXES = (".parquet", ".pq")
Subject: TypeAlias = tuple[str, int | None]  # the path as it was given, and the row where it is a table's

_FOOTERS = 32  # read at the same time
# Names of columns of pictures and of their paths, in the order in which a table is searched.
_PICTURES = ("image", "picture", "photo", "img", "bytes", "content", "data", "jpg", "jpeg", "png", "webp")
_PATHS = ("path", "image_path", "img_path", "filepath", "file", "filename", "file_name", "url", "uri", "image_url")


def plan(inputs: Iterable[str | Failure], size: int, base: str = "") -> Any:
    """Blocks of ``size`` pictures or rows, in order, as a pyarrow table with a row for each piece of a block.

    A piece is a picture file, or ``rows`` rows of a Parquet table after the first ``row``; ``error`` says what was
    wrong with it when inputs were listed. Relative paths are below ``base``. Of tables only the footers are read.
    Raises InputError for a file that is not a table, and when there is no input at all.
    """
    if size < 1:
        raise InputError(f"block size is {size}; expected at least 1")
    pyarrow = import_pyarrow()
    inputs = list(inputs)
    tables = [item for item in inputs if isinstance(item, str) and is_table(item)]
    with ThreadPoolExecutor(_FOOTERS) as threads:
        counts = dict(zip(tables, threads.map(lambda path: _count_rows(below(base, path)), tables), strict=True))
    pieces: list[tuple[int, str, str | None, int, int]] = []
    total = 0
    for item in inputs:
        path, error = (item.path or "", item.error) if isinstance(item, Failure) else (item, None)
        if error is None and printable(path) != path:
            error = f"{path}: a name that is not UTF-8; rename it"
        count = counts.get(path, 1) if error is None else 1
        row = 0
        while row < count:
            block, used = divmod(total, size)
            rows = min(count - row, size - used)
            pieces.append((block, printable(path), error and printable(error), row, rows))
            row, total = row + rows, total + rows
    if not total:
        raise InputError("no pictures and no table rows to process; check the names of the inputs")
    kinds = {"block": "int32", "path": "string", "error": "string", "row": "int64", "rows": "int64"}
    schema = pyarrow.schema([(name, getattr(pyarrow, kind)()) for name, kind in kinds.items()])
    return pyarrow.Table.from_arrays(
        [pyarrow.array(column, field.type) for column, field in zip(zip(*pieces, strict=True), schema, strict=True)],
        schema=schema,
    )


def blocks_of(plan: Any, done: set[int]) -> list[Any]:
    """The plan's pieces of one block after the other, without the blocks that are ``done``."""
    numbers = plan.column("block").to_numpy()
    starts = np.flatnonzero(np.diff(numbers, prepend=-1)).tolist()
    ends = [*starts[1:], len(numbers)]
    return [
        plan.slice(start, end - start) for start, end in zip(starts, ends, strict=True) if numbers[start] not in done
    ]


def is_table(path: str) -> bool:
    """Whether a name is that of a Parquet table."""
    return path.partition("?")[0].lower().endswith(TABLE_SUFFIXES)


def read_rows(where: str, row: int, rows: int, column: Callable[[Any], str] | None = None) -> Any:
    """``rows`` rows of a Parquet table after the first ``row``; no more than twice as many are in memory.

    ``column`` picks one of the columns of its schema. Raises InputError when the rows cannot be read.
    """
    pyarrow = import_pyarrow()
    taken = []
    with _open_table(where) as file:
        names = [column(file.schema_arrow)] if column else None
        counts = np.array([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)], np.int64)
        ends = counts.cumsum()
        groups = np.flatnonzero((ends > row) & (ends - counts < row + rows)).tolist()
        before = int((ends - counts)[groups[0]]) if groups else 0
        try:
            for batch in file.iter_batches(max(rows, 16), groups, names):
                start, end = max(row - before, 0), min(row + rows - before, len(batch))
                if start < end:
                    taken.append(batch.slice(start, end - start))
                before += len(batch)
                if before >= row + rows:
                    break
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"{where}: not readable as Parquet ({reason(error)}); write the table again") from error
    found = sum(map(len, taken))
    if found != rows:
        advice = "do not change tables during a run"
        raise InputError(f"{where}: expected {rows} rows from row {row} on, found {found}; {advice}")
    return pyarrow.Table.from_batches(taken)


def pictures_of(pieces: Any, base: str, column: str | None) -> Iterator[tuple[Subject, str | Named | Failure]]:
    """Each picture of a block, in order, and where it is; of tables, ``column`` holds it or its path."""
    for piece in pieces.to_pylist():
        path, first, error = piece["path"], piece["row"], piece["error"]
        where = below(base, path)
        if error is not None:
            yield (path, None), Failure(path, error)
        elif not is_table(path):
            yield (path, None), _file(where, path)
        else:
            try:
                pick = partial(find_column, column=column, where=where)
                cells = read_rows(where, first, piece["rows"], pick).column(0)
            except InputError as fault:  # its rows are known, and each must have an answer
                cells = itertools.repeat(Failure(path, str(fault)), piece["rows"])
            for row, cell in enumerate(cells, start=first):
                yield (path, row), cell if isinstance(cell, Failure) else _cell(cell.as_py(), where, path, row)


def subject_name(path: str, row: int | None) -> str:
    """What messages call a picture: its path, and the row in it."""
    return path if row is None else f"{path}, row {row}"


def find_column(schema: Any, column: str | None, where: str) -> str:
    """The column of pictures or of their paths: ``column``, or else the first that is called and typed like one.

    Raises InputError when there is none, or it holds neither bytes nor text.
    """
    fits = {name: _fits(schema.field(name).type) for name in schema.names}
    if column is not None:
        if not fits.get(column):
            found = f"of type {schema.field(column).type}" if column in fits else f"not among {', '.join(fits)}"
            raise InputError(f"{where}: column {column} is {found}; expected a column of bytes or of paths")
        return column
    for wanted in (*_PICTURES, *_PATHS):
        for name, fit in fits.items():
            if str(name).lower() == wanted and fit:
                return str(name)
    raise InputError(
        f"{where}: no picture column among {', '.join(fits)[:120]}; expected a column of bytes or paths called "
        "image or path, or name another column with --column"
    )


def _fits(kind: Any) -> bool:
    """Whether a column of this type may hold bytes, text, or both, as Hugging Face's data sets keep pictures."""
    types = import_pyarrow().types
    if types.is_struct(kind):
        return any(kind.field(i).name in ("bytes", "path") for i in range(kind.num_fields))
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return any(str(kind).removeprefix("large_").removesuffix("_view") == name for name in ("binary", "string"))


def _cell(cell: Any, where: str, path: str, row: int) -> str | Named | Failure:
    """Where a cell's picture is: in it, or at the path in it, which is relative to the table's folder."""
    name = subject_name(path, row)
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, str) and cell.strip():
        return _file(below(folder_of(where), cell), name)
    if isinstance(cell, bytes) and cell:
        return Named(name, cell)
    return Failure(name, f"{printable(name)}: no picture and no path in the row")


def _file(where: str, name: str) -> str | Named:
    return Named(name, partial(read_bytes, where)) if is_address(where) else where


def _count_rows(where: str) -> int:
    with _open_table(where) as file:
        return int(file.metadata.num_rows)


def _open_table(where: str) -> Any:
    pyarrow = import_pyarrow()
    system, path = open_storage(where)
    try:
        return pyarrow.parquet.ParquetFile(path, filesystem=system, buffer_size=1 << 20)
    except FileNotFoundError as error:
        raise InputError(f"{where}: no such table; check the name") from error
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{where}: not readable as Parquet ({reason(error)}); write the table again") from error
