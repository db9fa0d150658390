"""Tables of answers of any system: the field's CSV (IMG_ID, LAT, LON), or what ``earthclip locate`` wrote.

``locate`` names pictures by the path it was given; a truth is matched by the end of that path, with its suffix or
without, so that ``photos/more/c.jpg`` answers for ``c``, ``c.jpg`` and ``more/c``.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from earthclip.datasets.manifest import COLUMNS, Manifest, match, read_manifest
from earthclip.errors import InputError
from earthclip.geo.sphere import coordinate_fault, wrap_longitude

SUFFIXES = (".csv", ".jsonl")
_LOCATED = ("path", "rank", "latitude", "longitude")  # of the columns that locate writes
_Row = tuple[str, str, float | None, float | None]  # where, path, latitude and longitude of the first place


def answers_for(truth: Manifest, path: Path) -> Float[np.ndarray, "n 2"]:
    """The place each picture of ``truth`` was put at, degrees, in its order.

    ``path`` is a CSV with the columns IMG_ID, LAT and LON, or the output of ``earthclip locate`` as CSV or JSON Lines,
    of which the first places count. Every picture must have one answer, and every answer a picture: figures over a
    subset cannot be compared. Raises InputError, in one line, with counts and an example, when that is not so, and for
    a table that cannot be read.
    """
    if path.suffix.lower() == ".jsonl":
        rows = _of_lines(path)
    elif _is_located_csv(path):
        rows = _of_csv(path)
    else:
        return match(truth, read_manifest(path))[1]
    return _matched(truth, list(rows), path.name)


def _matched(truth: Manifest, rows: list[_Row], source: str) -> Float[np.ndarray, "n 2"]:
    by_name: dict[str, list[int]] = {}
    for index, (_, path, _, _) in enumerate(rows):
        for name in _names(path):
            by_name.setdefault(name, []).append(index)
    answers, unanswered, open_, used = np.empty((len(truth), 2)), [], [], set()
    for position, name in enumerate(truth.ids):
        found = by_name.get(name) or []
        if len(found) > 1:
            first, second = (rows[i][1] for i in found[:2])
            raise InputError(
                f"{source}: {_show(first)} and {_show(second)} both answer for {_show(name)} of {truth.source}; "
                "keep one answer for each picture"
            )
        used.update(found)
        if not found:
            unanswered.append(name)
            continue
        where, _, latitude, longitude = rows[found[0]]
        if latitude is None or longitude is None:
            open_.append(name)
        elif fault := coordinate_fault(latitude, longitude):
            raise InputError(f"{source}, {where}: {fault}")
        else:
            answers[position] = latitude, wrap_longitude(longitude)
    foreign = [path for index, (_, path, _, _) in enumerate(rows) if index not in used]
    faults = [
        (foreign, f"{len(foreign)} of {len(rows)} paths of {source} name no picture of {truth.source}"),
        (unanswered, f"{len(unanswered)} of {len(truth)} ids of {truth.source} have no prediction in {source}"),
        (open_, f"{len(open_)} of {len(truth)} pictures failed or were abstained from in {source}"),
    ]
    if parts := [f"{text}, e.g. {_show(names[0])}" for names, text in faults if names]:
        raise InputError("; ".join(parts) + "; both tables must name the same pictures")
    return answers


def _names(path: str) -> set[str]:
    """What a truth may call the picture at ``path``: the ends of the path, with the file's suffix and without."""
    parts = [part for part in re.split(r"[\\/]", path) if part not in ("", ".")]
    ends = {"/".join(parts[start:]) for start in range(len(parts))} | {path}
    return ends | {re.sub(r"\.[^./\\]+$", "", end) for end in ends}


def _is_located_csv(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            header = [name.strip() for name in next(csv.reader(file), [])]
    except (OSError, csv.Error):
        return False  # read_manifest says what is wrong
    return all(name in header for name in _LOCATED) and not all(name in header for name in COLUMNS)


def _of_csv(path: Path) -> Iterator[_Row]:
    answered: set[str] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                where, name, rank = f"line {reader.line_num}", row["path"] or "", row["rank"] or ""
                if rank not in ("", "1"):
                    continue
                if name in answered:
                    raise InputError(f"{path}, {where}: {_show(name)} is answered twice; keep one answer a picture")
                answered.add(name)
                if not rank:
                    yield where, name, None, None
                    continue
                latitude, longitude = (_number(row[side], side, f"{path}, {where}") for side in _LOCATED[2:])
                yield where, name, latitude, longitude
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save the table as CSV in UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not readable as CSV ({error}); correct the row") from error


def _of_lines(path: Path) -> Iterator[_Row]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _of_object(json.loads(line), f"line {number}", path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path of the table") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path}: not JSON Lines ({error}); expected a file that earthclip locate --format jsonl wrote"
        ) from error


def _of_object(values: Any, where: str, path: Path) -> _Row:
    try:
        name, places = values["path"], values.get("predictions", [])
        if not isinstance(name, str):
            raise TypeError
        if not places or values.get("abstained"):
            return where, name, None, None
        latitude, longitude = (_number(places[0][side], side, f"{path}, {where}") for side in _LOCATED[2:])
        return where, name, latitude, longitude
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"{path}, {where}: not written by earthclip locate; expected path, and predictions or error"
        ) from error


def _number(value: object, side: str, where: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, bool):
        raise InputError(f"{where}: {side} must be a number of degrees, found {_show(str(value))}; correct the row")
    return number


def _show(text: str, longest: int = 60) -> str:
    return repr(text if len(text) <= longest else text[: longest - 3] + "...")
