"""Tables of photos with places, and the files that their ids name."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earthclip.datasets.coordinates import coordinate_columns
from earthclip.datasets.photos import FileStore
from earthclip.datasets.rows import Kept, Rows, Scan
from earthclip.errors import InputError, MissingExtraError
from earthclip.pictures.finding import walk
from earthclip.pictures.kinds import PICTURE_SUFFIXES, PassedOver
from earthclip.pictures.prepare import Failure

_FLATTENED = re.compile(r"^([0-9a-f]{2})_([0-9a-f]{2})_(.+)$")  # MP-16's ab/cd/name.jpg as one name


class FilesById:
    """Finds photos in a folder; each folder in it is listed once, and all of it only when that is not enough."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listings: dict[str, dict[str, str]] = {}
        self._anywhere: dict[str, str] | None = None

    def find(self, name: str) -> str | None:
        """The path in the folder of the photo with this id, None where there is none or several could be meant.

        Tried in this order: the id as a path; with another suffix or one added; ``ab_cd_name`` as ``ab/cd/name`` and
        the reverse; the last part of it, anywhere in the folder.
        """
        for candidate in _spellings(name):
            parent, _, last = candidate.rpartition("/")
            listing = self._listing(parent)
            found = listing.get(last) or listing.get(_stem(last))
            if found:
                return f"{parent}/{found}" if parent else found
        if self._anywhere is None:
            self._anywhere = self._index()
        last = name.replace("\\", "/").rpartition("/")[2]
        return self._anywhere.get(last) or self._anywhere.get(_stem(last)) or None

    def _listing(self, parent: str) -> dict[str, str]:
        if parent not in self._listings:
            names: list[str] = []
            if ".." not in parent.split("/"):  # an id must not lead out of the folder
                try:
                    names = sorted(entry.name for entry in os.scandir(self.folder / parent) if entry.is_file())
                except (OSError, ValueError):
                    names = []
            self._listings[parent] = _by_stem(names)
        return self._listings[parent]

    def _index(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for file in walk(self.folder, PICTURE_SUFFIXES, PassedOver()):
            if isinstance(file, Failure):
                continue
            path = file.relative_to(self.folder).as_posix()
            parent, _, last = path.rpartition("/")
            for key in {last, _stem(last)}:
                before = found.setdefault(key, path)
                if before.rpartition("/")[0] != parent:
                    found[key] = ""  # two folders have it, and which one is meant nobody knows
        return found


def _spellings(name: str) -> list[str]:
    name = name.replace("\\", "/").removeprefix("./")
    if name.startswith("/"):
        return []
    spellings = [name]
    if flattened := _FLATTENED.match(name):
        spellings.append("/".join(flattened.groups()))
    if "/" in name:
        spellings += [name.replace("/", "_"), name.rpartition("/")[2]]
    return spellings


def _by_stem(names: list[str]) -> dict[str, str]:
    listing: dict[str, str] = {}
    for suffix in reversed(PICTURE_SUFFIXES):  # so that the first of them wins
        listing |= {name[: -len(suffix)]: name for name in names if name.lower().endswith(suffix)}
    return listing | {name: name for name in names}


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    return stem if suffix.lower() in PICTURE_SUFFIXES else name


ID_NAMES = (
    *("img_id", "image_id", "photo_id", "id", "image", "img", "photo", "picture"),
    *("filename", "file_name", "file", "image_path", "img_path", "path", "filepath", "key", "__key__"),
)
AUTHOR_NAMES = ("author", "ownernsid", "photographer", "user_nsid", "owner", "user", "creator_username", "creator")
TOO_SHORT = "with another number of values than the header"

_ROWS = 65_536  # of Parquet that are read at a time


@dataclass(frozen=True)
class Columns:
    """Positions of what is needed of a table."""

    name: int
    latitude: int
    longitude: int
    author: int | None

    @property
    def last(self) -> int:
        """The rightmost of those that a row must have."""
        return max(self.name, self.latitude, self.longitude)


def scan_table(path: Path, images: Path, expected: int | None = None, name: str | None = None) -> Scan:
    """The rows of a table whose photos are in the folder ``images``, found by their ids (see FilesById).

    Raises InputError when there is no table, no folder, or a column is missing; rows at fault are left out and
    counted. MissingExtraError for Parquet without the extra ``parquet``.
    """
    if not images.is_dir():
        raise InputError(
            f"{images}: expected the folder of the photos of {path.name}, found none; give it with --images"
        )
    rows, kept = read_rows(path, name)
    files = FilesById(images)
    found = [files.find(identity) for identity in kept.ids]
    there = np.array([i if file is not None else -1 for i, file in enumerate(found)], np.int64)
    return rows.scan(kept, FileStore(images, [file or "" for file in found]), there, expected)


def read_rows(path: Path, name: str | None = None) -> tuple[Rows, Kept]:
    """The rows of a table without a look at their photos, and those with a place. Raises as scan_table."""
    rows = Rows(name or path.name)
    has_authors = False
    table = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    columns: Columns | None = None
    width = 0
    for where, cells in table:
        if columns is None:
            columns, width = find_columns([str(cell) for cell in cells], str(path)), len(cells)
            has_authors = columns.author is not None
        elif len(cells) <= columns.last or any(str(cell).strip() for cell in cells[width:]):
            rows.leave_out(TOO_SHORT, where)  # a decimal comma makes a row longer, and would be read as other degrees
        else:
            author = cells[columns.author] if columns.author is not None and columns.author < len(cells) else ""
            identity = cells[columns.name]
            rows.add(_text(identity), cells[columns.latitude], cells[columns.longitude], _text(author))
    if columns is None:
        raise InputError(f"{path}: empty; expected a header such as IMG_ID,LAT,LON and rows below it")
    return rows, rows.kept(has_authors)


def find_columns(header: Sequence[str], source: str) -> Columns:
    """Which columns hold what, by their names in any case. Raises InputError naming those that are missing."""
    latitude, longitude = coordinate_columns(header, source)
    names = [str(name).strip().casefold() for name in header]
    name, author = (
        next((names.index(known) for known in of_kind if known in names), None) for of_kind in (ID_NAMES, AUTHOR_NAMES)
    )
    if name is None or latitude is None or longitude is None:
        wanted = (("IMG_ID", name), ("LAT", latitude), ("LON", longitude))
        missing = ", ".join(column for column, position in wanted if position is None)
        found = ", ".join(header)
        found = repr(found if len(found) <= 80 else f"{found[:77]}...")
        raise InputError(f"{source}: no column {missing} in its comma-separated header {found}; add or rename columns")
    return Columns(name, latitude, longitude, author)


def _csv(path: Path) -> Iterator[tuple[str, list[str]]]:
    try:
        if path.is_dir():
            raise InputError(f"{path}: expected a CSV or Parquet file, found a folder; name the table inside it")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)  # or an unbalanced quote would swallow the rows after it
            for cells in reader:
                if any(map(str.strip, cells)):
                    yield f"line {reader.line_num}", cells
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path of the table") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save the table as CSV in UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not readable as CSV ({error}); correct the row") from error


def _parquet(path: Path) -> Iterator[tuple[str, list[object]]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(str(path), "parquet", "pyarrow") from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            header = list(file.schema_arrow.names)
            yield "header", header
            columns = find_columns(header, str(path))
            wanted = [c for c in (columns.name, columns.latitude, columns.longitude, columns.author) if c is not None]
            blank: list[object] = [None] * len(header)
            done = 0
            for batch in file.iter_batches(_ROWS, columns=[header[c] for c in wanted]):
                for values in zip(*(batch.column(header[c]).to_pylist() for c in wanted), strict=True):
                    cells = blank.copy()
                    for column, value in zip(wanted, values, strict=True):
                        cells[column] = value
                    done += 1
                    yield f"row {done}", cells
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path of the table") from error
    except (pyarrow.ArrowException, OSError, KeyError) as error:  # KeyError: two columns of one name
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: not readable as Parquet ({reason}); write the table again") from error


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
