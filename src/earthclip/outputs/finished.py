"""A finished output as a record of its run: whether a run to be resumed is the one that wrote it."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from earthclip.errors import OutputError
from earthclip.outputs.geoparquet import import_pyarrow
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
    ``model``, ``text``, and ``top_k`` where ``region`` is None, since a region may have fewer places. Pictures for
    which ``left_out`` holds need no answer.
    """
    if format not in _READERS:
        return None
    answered: Counter[str] = Counter()
    highest = 0
    try:
        for row in _READERS[format](output):
            rank = int(row.get("rank") or 0)
            highest = max(highest, rank, len(row.get("predictions", ())))
            if rank > 1 or row.get("mass") is not None:
                continue  # a further place, or a region, of the answer before it
            answered[printable(row["path"])] += 1
            for name in () if row.get("error") else ("model", "text"):
                if (row.get(name) or None) != asked[name]:
                    raise _other(output, f"with {name} {row.get(name) or None}, but this run has {asked[name]}")
    except (ValueError, KeyError, TypeError, AttributeError, OSError, csv.Error) as error:
        raise OutputError(f"{output}: already exists and is no finished output of earthclip; {_ADVICE}") from error
    top_k = int(str(asked["top_k"]))
    if highest > top_k or (0 < highest < top_k and asked["region"] is None):
        raise _other(output, f"with top_k {highest}, but this run has {top_k}")
    given = Counter(printable(one.path if isinstance(one, Failure) else os.fspath(one)) for one in pictures)
    unanswered = Counter({path: n for path, n in (given - answered).items() if not left_out(Path(path))})
    for others, what in ((answered - given, "not given now"), (unanswered, "not in it")):
        if others:
            raise _other(output, f"of other pictures ({others.total():,} {what}, such as {next(iter(others))})")
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


_READERS: dict[str, Callable[[Path], Iterable[dict[str, Any]]]] = {
    "csv": _csv_rows,
    "jsonl": _lines,
    "json": lambda path: json.loads(path.read_bytes()),
    "geojson": _features,
    "geoparquet": _parquet_rows,
}
