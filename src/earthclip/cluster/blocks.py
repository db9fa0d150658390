"""Blocks of inputs, the unit of work on a cluster: which picture files and which rows of tables each is made of.

A block's answers are one file, named by the block's number; a run that goes on asks only for those that are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from earthclip.cluster.storage import below, open_storage
from earthclip.datasets.shards import reason
from earthclip.errors import InputError
from earthclip.outputs.geoparquet import import_pyarrow
from earthclip.outputs.table import printable
from earthclip.pictures.prepare import Failure

TABLE_SUFFIXES = (".parquet", ".pq")
_FOOTERS = 32  # read at the same time

# Of a picture file, group is null. skip counts rows within the row group, row within the file, both from 0.
COLUMNS = {
    "block": "int32",
    "path": "string",
    "error": "string",  # what was wrong with it when inputs were listed
    "group": "int32",
    "skip": "int64",
    "row": "int64",
    "rows": "int64",
}


def plan(inputs: Iterable[str | Failure], size: int, base: str = "") -> Any:
    """Blocks of ``size`` pictures or rows, in order, as a pyarrow table of ``COLUMNS``.

    ``inputs`` are paths and addresses of pictures and of Parquet tables, relative ones below ``base``; of tables
    only the footers are read. Raises InputError for a table that is none, and when there is no input at all.
    """
    if size < 1:
        raise InputError(f"block size is {size}; expected at least 1")
    pyarrow = import_pyarrow()
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    total = 0
    for path, error, group, first, count in _pieces(inputs, base):
        skip = 0
        while skip < count:
            block, used = divmod(total, size)
            rows = min(count - skip, size - used)
            values = (block, path, error, group, skip, first + skip, rows)
            for name, value in zip(COLUMNS, values, strict=True):
                columns[name].append(value)
            skip += rows
            total += rows
    if not total:
        raise InputError("no picture and no row of a table to answer; check the names of the inputs")
    return pyarrow.table(columns, schema=schema())


def schema() -> Any:
    """Of the plan, in pyarrow's words."""
    pyarrow = import_pyarrow()
    return pyarrow.schema([(name, getattr(pyarrow, kind)()) for name, kind in COLUMNS.items()])


def blocks_of(plan: Any, done: set[int]) -> Iterator[Any]:
    """The plan's rows of one block after the other, without those that are ``done``."""
    numbers = plan.column("block").to_numpy()
    start = 0
    while start < len(numbers):
        end = int(numbers.searchsorted(numbers[start], side="right"))
        if int(numbers[start]) not in done:
            yield plan.slice(start, end - start)
        start = end


def is_table(path: str) -> bool:
    """Whether a name is that of a Parquet table."""
    return path.partition("?")[0].lower().endswith(TABLE_SUFFIXES)


def rows_of(where: str, group: int, skip: int, rows: int, columns: list[str] | None = None) -> Any:
    """``rows`` rows of a row group of a Parquet table, after ``skip``; no more than twice as many are in memory.

    Raises InputError when they cannot be read.
    """
    pyarrow = import_pyarrow()
    with _open_table(where) as file:
        taken, before = [], 0
        try:
            for batch in file.iter_batches(batch_size=max(rows, 16), row_groups=[group], columns=columns):
                start, end = max(skip - before, 0), min(skip + rows - before, len(batch))
                if start < end:
                    taken.append(batch.slice(start, end - start))
                before += len(batch)
                if before >= skip + rows:
                    break
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"{where}: not readable as Parquet ({reason(error)}); write the table again") from error
    found = sum(map(len, taken))
    if found != rows:
        raise InputError(f"{where}: expected {rows} rows after {skip} of row group {group}, found {found}; it changed")
    return pyarrow.Table.from_batches(taken)


def table_schema(where: str) -> Any:
    """The pyarrow schema of a Parquet table. Raises InputError."""
    with _open_table(where) as file:
        return file.schema_arrow


def _pieces(inputs: Iterable[str | Failure], base: str) -> Iterator[tuple[str, str | None, int | None, int, int]]:
    """(path, error, row group, first row, rows) of each picture file and of each row group."""
    waiting = iter(inputs)
    with ThreadPoolExecutor(_FOOTERS) as threads:
        while some := list(islice(waiting, 1024)):
            tables = [path for path in some if isinstance(path, str) and is_table(path)]
            counts = dict(zip(tables, threads.map(lambda path: _group_rows(below(base, path)), tables), strict=True))
            for item in some:
                if isinstance(item, Failure):
                    yield printable(item.path or ""), printable(item.error), None, 0, 1
                elif printable(item) != item:
                    yield printable(item), f"{printable(item)}: a name that is not UTF-8; rename it", None, 0, 1
                elif item not in counts:
                    yield item, None, None, 0, 1
                else:
                    first = 0
                    for group, rows in enumerate(counts[item]):
                        yield item, None, group, first, rows
                        first += rows


def _group_rows(where: str) -> list[int]:
    with _open_table(where) as file:
        return [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]


def _open_table(where: str) -> Any:
    pyarrow = import_pyarrow()
    system, path = open_storage(where)
    try:
        return pyarrow.parquet.ParquetFile(path, filesystem=system, buffer_size=1 << 20)
    except FileNotFoundError as error:
        raise InputError(f"{where}: no such table; check the name") from error
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{where}: not readable as Parquet ({reason(error)}); write the table again") from error
