"""A plan: a CSV of positions for people to look through and correct, and the reading of what they made of it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from earthclip.datasets.columns import degrees
from earthclip.datasets.tables import CSVTable, open_table
from earthclip.errors import InputError, readable
from earthclip.geo.sphere import wrap_longitude
from earthclip.locating.prediction import Prediction
from earthclip.outputs.estimate import HAND, Estimate, source_of
from earthclip.outputs.sidecar import objection
from earthclip.outputs.structured import digits
from earthclip.outputs.table import NewlineEnded, printable
from earthclip.pictures.prepare import Failure

COLUMNS = ("path", "latitude", "longitude", "place", "probability", "radius_km", "source", "accept")
_YES, _NO = ("yes", "y", "true", "1", "x"), ("no", "n", "false", "0", "")


UNNAMEABLE = "the file's name is not UTF-8; rename the file to have its position in a plan"


def is_nameable(answer: Prediction | Failure) -> bool:
    """Whether a plan, which is UTF-8, can hold the path of an answer."""
    return printable(answer.path) == readable(answer.path or "")


class PlanWriter:
    """A row for each picture under a header, ``COLUMNS``; ``accept`` is yes where nothing speaks against writing it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows = csv.writer(NewlineEnded(stream), lineterminator="\r\n")
        self._rows.writerow(COLUMNS)

    def write(self, answer: Prediction | Failure) -> None:
        """Write the row of one picture; it has no position where there is no answer or no UTF-8 path."""
        path = printable(answer.path)
        if not is_nameable(answer):  # as it stands in the plan, the path may be another photo's
            self._rows.writerow([path, "", "", UNNAMEABLE, "", "", "", "no"])
        elif isinstance(answer, Failure) or answer.abstained or not len(answer.coordinates):
            source = "" if isinstance(answer, Failure) else source_of(answer)
            self._rows.writerow([path, *[""] * 5, source, "no"])
        else:
            place = round(answer.latitude, 6), round(answer.longitude, 6), printable(answer.places[0].text)
            radius = "" if answer.verdict is None or answer.verdict.radius_km is None else answer.verdict.radius_km
            sure = digits(float(answer.probabilities[0])), radius, source_of(answer)
            self._rows.writerow([path, *place, *sure, "yes" if _is_safe(answer) else "no"])
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to write."""
        self._stream.flush()


@dataclass(frozen=True)
class PlannedRow:
    """A row of a plan: the photo, what to write (None where the row has no position) and whether to write it."""

    photo: Path
    estimate: Estimate | None
    accepted: bool


def read_plan(path: Path) -> list[PlannedRow]:
    """The rows of a plan. Raises InputError naming the first row that is not as it should be, before any is used."""
    rows: list[PlannedRow] = []
    lines: dict[Path, str] = {}
    with open_table(path, named=True) as table:
        if not isinstance(table, CSVTable) or table.position("accept") is None:
            raise InputError(f"{path}: not a plan; expected a CSV with the columns {', '.join(COLUMNS)}")
        for where, row in _rows(table):
            if row.photo in lines:
                raise InputError(f"{path}, {where}: {row.photo} is also in {lines[row.photo]}; keep one of them")
            lines[row.photo] = where
            rows.append(row)
    return rows


def _rows(table: CSVTable) -> Iterator[tuple[str, PlannedRow]]:
    named, accept, source = table.name, table.position("accept"), table.position("source")
    assert named is not None
    for where, cells in table.rows():
        name = str(cells[named])
        word = table.text(cells, accept).casefold()
        if word not in (*_YES, *_NO):
            raise InputError(f"{table.source}, {where}: accept is '{word}'; expected yes or no")
        if not name.strip():
            raise InputError(f"{table.source}, {where}: no path; correct or remove the row")
        if not Path(name).name:  # such as "." or "/"
            raise InputError(f"{table.source}, {where}: path '{name}' names no file; correct or remove the row")
        blank = not (table.text(cells, table.latitude) and table.text(cells, table.longitude))
        if blank and word in _YES:
            raise InputError(f"{table.source}, {where}: accepted without a position; give one, or set accept to no")
        estimate = None
        if not blank:
            latitude, east = table.place(where, cells)
            longitude = float(wrap_longitude(east))  # XMP has no 181 degrees east
            probability, radius_km = (_number(table, where, cells, name) for name in ("probability", "radius_km"))
            estimate = Estimate(latitude, longitude, probability, radius_km, table.text(cells, source) or HAND)
        yield where, PlannedRow(Path(name), estimate, word in _YES)


def _number(table: CSVTable, where: str, cells: Sequence[object], column: str) -> float | None:
    text = table.text(cells, table.position(column))
    value = degrees(text) if text else None
    if value is not None and not 0 <= value < float("inf"):
        raise InputError(f"{table.source}, {where}: {column} must be a number from 0, found '{text}'; correct the row")
    return value


def _is_safe(answer: Prediction) -> bool:
    try:
        return objection(answer) is None
    except InputError:
        return False
