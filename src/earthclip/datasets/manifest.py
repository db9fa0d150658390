"""Tables of coordinates: a manifest of pictures with their places, or places alone."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64

from earthclip.errors import InputError, ModelError
from earthclip.geo.sphere import check_coordinates, coordinate_fault, wrap_longitude


def read_places(content: bytes, where: str) -> Float64[np.ndarray, "m 2"]:
    """Degrees from the columns LAT and LON. Raises ModelError, naming ``where``, for what is no such table."""
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
        places = np.array([(float(row["LAT"]), float(row["LON"])) for row in rows], np.float64)
        return check_coordinates(places.reshape(-1, 2), where)
    except InputError as error:
        raise ModelError(str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{where}: expected a CSV with the columns LAT and LON ({error}); get it again") from error


COLUMNS = ("IMG_ID", "LAT", "LON")


@dataclass(frozen=True, eq=False)  # arrays have no single truth to compare by
class Manifest:
    """Pictures and where they were taken.

    ``ids`` are n distinct picture names, ``coordinates`` [n,2] their (latitude, longitude) in degrees, longitude in
    [-180, 180); ``source`` names the table in messages.
    """

    ids: list[str]
    coordinates: Float[np.ndarray, "n 2"]
    source: str = "manifest"

    def __len__(self) -> int:
        return len(self.ids)


def read_manifest(path: str | Path) -> Manifest:
    """Read a UTF-8 CSV with the columns IMG_ID, LAT and LON, in any order and among any others.

    Blank lines and a byte-order mark are passed over; a longitude of 180 becomes -180. Raises InputError, in one line
    that names the file and the line in it, for whatever else is not a table of distinct ids and valid degrees.
    """
    path = Path(path)
    seen: dict[str, int] = {}
    pairs: list[tuple[float, float]] = []
    for line, name, latitude, longitude in _rows(path):
        if not name:
            raise InputError(f"{path}, line {line}: IMG_ID is empty; give every row the name of its picture")
        if name in seen:
            raise InputError(
                f"{path}, line {line}: IMG_ID {_show(name)} appeared on line {seen[name]} already; "
                "keep one row for each picture"
            )
        seen[name] = line
        where = f"{path}, line {line}"
        pair = _number(latitude, "LAT", where), _number(longitude, "LON", where)
        if fault := coordinate_fault(*pair):
            raise InputError(f"{where}: {fault}")
        pairs.append(pair)
    if not pairs:
        raise InputError(f"{path}: the table has no rows; expected at least one below the header {','.join(COLUMNS)}")
    coordinates = np.array(pairs, dtype=np.float64)
    coordinates[:, 1] = wrap_longitude(coordinates[:, 1])
    return Manifest(list(seen), coordinates, path.name)


def match(truth: Manifest, predictions: Manifest) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """The coordinates of truth and of predictions, both in the order of the truth's ids.

    Every picture of the truth must have a prediction and the reverse: figures over a subset cannot be compared with
    published ones. Raises InputError with the counts and an example when they differ.
    """
    position = {name: i for i, name in enumerate(predictions.ids)}
    known = set(truth.ids)
    foreign = [name for name in predictions.ids if name not in known]
    unanswered = [name for name in truth.ids if name not in position]
    if foreign or unanswered:
        parts = []
        if foreign:
            parts.append(
                f"{len(foreign)} of {len(predictions)} ids of {predictions.source} are not in {truth.source}, "
                f"e.g. {_show(foreign[0])}"
            )
        if unanswered:
            parts.append(
                f"{len(unanswered)} of {len(truth)} ids of {truth.source} have no prediction in "
                f"{predictions.source}, e.g. {_show(unanswered[0])}"
            )
        raise InputError("; ".join(parts) + "; both tables must name the same pictures")
    order = np.array([position[name] for name in truth.ids], dtype=np.int64)
    return truth.coordinates, predictions.coordinates[order]


def _rows(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """Line number, id, latitude and longitude of each row that is not blank, as text without outer spaces."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: expected a CSV file, found a folder; name the table inside it")
        with path.open(encoding="utf-8-sig", newline="") as file:
            # strict: an unbalanced quote would otherwise swallow the rows after it
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            columns = _columns(header, path)
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                # a decimal comma makes rows longer than the header, and would be read as other degrees
                if len(row) <= max(columns) or any(cell.strip() for cell in row[len(header) :]):
                    raise InputError(
                        f"{path}, line {reader.line_num}: expected {len(header)} values as in the header, "
                        f"found {len(row)}; correct the row"
                    )
                name, latitude, longitude = (row[column].strip() for column in columns)
                yield reader.line_num, name, latitude, longitude
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path of the table") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save the table as CSV in UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not readable as CSV ({error}); correct the row") from error


def _columns(header: list[str], path: Path) -> list[int]:
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        found = _show(", ".join(header), 80) if header else "an empty file"
        raise InputError(
            f"{path}, line 1: expected a header with the comma-separated columns {', '.join(COLUMNS)}, found {found}; "
            f"add or rename {', '.join(missing)}"
        )
    for name in COLUMNS:
        if header.count(name) > 1:
            raise InputError(f"{path}: column {name} appears {header.count(name)} times; keep one of them")
    return [header.index(name) for name in COLUMNS]


def _number(text: str, column: str, where: str) -> float:
    try:
        value = float(text.replace("_", "?"))  # Python reads 1_0 as 10
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        found = f"found {_show(text)}" if text else "found nothing"
        raise InputError(f"{where}: {column} must be a number of degrees, {found}; correct or remove the row")
    return value


def _show(text: str, longest: int = 60) -> str:
    """The text as one printable, quoted line of bounded length."""
    return repr(text if len(text) <= longest else text[: longest - 3] + "...")
