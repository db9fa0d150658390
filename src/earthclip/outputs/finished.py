"""A finished output as a record of its run: whether a run to be resumed is the one that wrote it."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from earthclip.errors import OutputError
from earthclip.outputs.geoparquet import import_pyarrow
from earthclip.outputs.structured import PathCheck
from earthclip.outputs.table import printable
from earthclip.pictures.prepare import Failure

_ADVICE = "choose another name, or add --force and leave out --resume to replace it"


def check_finished(
    output: Path,
    format: str,
    asked: Mapping[str, object],
    pictures: Iterable[Path | Failure],
    left_out: Callable[[Path], bool] = lambda path: False,
) -> int | None:
    """How many answers the finished file holds; None for formats that do not say (table, KML, plan).

    Raises OutputError unless it holds the answers about ``pictures``, as far as its format records what was ``asked``:
    ``model`` (or a list of them), ``text``, and ``top_k`` where ``region`` is None, since a region may have fewer
    places. Pictures for which ``left_out`` holds need no answer.
    """
    if format not in _READERS:
        return None
    answered: Counter[str] = Counter()
    highest = 0
    try:
        check = _CHECKS[format](output) if format in _CHECKS else None  # where the file has names and no paths
        for row in _READERS[format](output):
            rank = int(row.get("rank") or 0)
            highest = max(highest, rank, len(row.get("predictions", ())))
            if rank > 1 or row.get("mass") is not None:
                continue  # a further place, or a region, of the answer before it
            answered[printable(row["path"])] += 1
            for name in () if row.get("error") else ("model", "text"):
                value = asked[name]
                allowed = value if isinstance(value, list) else [value]
                if (row.get(name) or None) not in allowed:
                    this = " and ".join(map(str, allowed))
                    raise _other(output, f"with {name} {row.get(name) or None}, but this run has {this}")
    except (ValueError, KeyError, TypeError, AttributeError, OSError, csv.Error) as error:
        raise OutputError(f"{output}: already exists and is no finished output of earthclip; {_ADVICE}") from error
    top_k = int(str(asked["top_k"]))
    if highest > top_k or (0 < highest < top_k and asked["region"] is None):
        raise _other(output, f"with top_k {highest}, but this run has {top_k}")
    paths = [str(one.path) if isinstance(one, Failure) else os.fspath(one) for one in pictures]
    names = {path: printable(path if check is None else PurePath(path).name) for path in paths}
    given = Counter(names[path] for path in paths)
    wanted = Counter(names[path] for path in paths if not left_out(Path(path)))
    for others, what in ((answered - given, "not given now"), (wanted - answered, "not in it")):
        if others:
            raise _other(output, f"of other pictures ({others.total():,} {what}, such as {next(iter(others))})")
    if check is not None and not any(left_out(Path(path)) for path in paths):
        found = PathCheck()
        for path in paths:
            found.add(path)
        if str(found) != check:
            raise _other(output, "of pictures of the same names in other folders")
    return answered.total()


def _other(output: Path, how: str) -> OutputError:
    return OutputError(f"{output}: is complete, and holds a run {how}; {_ADVICE}")


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _features(path: Path) -> Iterator[dict[str, Any]]:
    return (feature["properties"] for feature in json.loads(path.read_bytes())["features"])


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    with import_pyarrow().parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["path", "text", "model", "rank", "mass", "error"]):
            yield from batch.to_pylist()


def _places(path: Path) -> Iterator[dict[str, Any]]:
    yield from _select(path, "SELECT path, text, model, rank, error FROM places")


def _package_check(path: Path) -> str | None:
    if not _select(path, "SELECT name FROM sqlite_master WHERE name = 'gpkg_metadata'"):
        return None
    texts = " ".join(row["metadata"] for row in _select(path, "SELECT metadata FROM gpkg_metadata"))
    found = re.search(r'"EARTHCLIP_PATHS">(\w+)<', texts)
    return found[1] if found else None


def _select(path: Path, query: str) -> list[dict[str, Any]]:
    """The rows of a query to a GeoPackage, which is a file of SQLite. Raises ValueError for other files."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query)]
    except sqlite3.Error as error:
        raise ValueError(str(error)) from error


_CHECKS: dict[str, Callable[[Path], str | None]] = {
    "geojson": lambda path: json.loads(path.read_bytes()).get("earthclip", {}).get("paths"),
    "geopackage": _package_check,
}
_READERS: dict[str, Callable[[Path], Iterable[dict[str, Any]]]] = {
    "csv": _csv_rows,
    "jsonl": _lines,
    "json": lambda path: json.loads(path.read_bytes()),
    "geojson": _features,
    "geoparquet": _parquet_rows,
    "geopackage": _places,
}
