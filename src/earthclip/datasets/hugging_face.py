"""A data set of the Hugging Face ``datasets`` library, from its hub or from a folder that it wrote."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthclip.datasets.rows import Rows, Scan
from earthclip.datasets.tables import AUTHOR_NAMES, ID_NAMES, find_columns
from earthclip.errors import InputError, MissingExtraError

IMAGE_NAMES = ("image", "img", "photo", "picture", "jpg", "png", "webp", "pixel_values")
_ROWS = 10_000  # read at a time


@dataclass(frozen=True, eq=False)
class TableStore:
    """Photos as cells of a data set's column, undecoded."""

    name: str
    table: Any  # datasets.Dataset of the one column
    column: str

    def open(self, row: int) -> str | io.BufferedIOBase:
        """The photo as a file in memory, or its path where the data set refers to it. Raises InputError."""
        cell = self.table[row][self.column]
        if isinstance(cell, dict) and cell.get("bytes"):
            return io.BytesIO(cell["bytes"])
        path = cell.get("path") if isinstance(cell, dict) else cell
        if not path or "://" in str(path):
            raise InputError(f"{self.label(row)}: neither the photo nor a path to it; load the data set again")
        return str(path)

    def label(self, row: int) -> str:
        """The data set and the row."""
        return f"{self.name}, row {row}"


def scan_hugging_face(source: str) -> Scan:
    """The photos of ``NAME`` or ``NAME@split``; NAME is one of the Hub, or a folder made by ``save_to_disk``.

    Needs a column of pictures, one of latitudes and one of longitudes, by their usual names. A column of ids and one
    of authors is used where there is one; else ids are the numbers of the rows, from 0. Raises InputError,
    and MissingExtraError without the extra ``datasets``.
    """
    table = _load(*_name_and_split(source))
    return scan_dataset(table, f"hf:{source}")


def scan_dataset(table: Any, name: str) -> Scan:
    """The photos of a ``datasets.Dataset``, as scan_hugging_face; ``name`` is for messages."""
    import datasets

    header = list(table.column_names)
    image = _image_column(table, name)
    id_columns = [column for column in header if column.casefold() in ID_NAMES and column != image]
    # without a column of ids any other will do to find the rest; ids are then made below
    columns = find_columns([*header, *([] if id_columns else ["id"])], name)
    identity = min(id_columns, key=lambda column: ID_NAMES.index(column.casefold()), default=None)
    author = next((c for known in AUTHOR_NAMES for c in header if c.casefold() == known), None)
    photos = table.select_columns([image]).cast_column(image, datasets.Image(decode=False))
    wanted = [header[columns.latitude], header[columns.longitude], *filter(None, (identity, author))]
    rows, values = Rows(name), table.select_columns(wanted).with_format(None)
    for start in range(0, len(table), _ROWS):
        batch = values[start : start + _ROWS]
        names = batch[identity] if identity else range(start, start + len(batch[wanted[0]]))
        authors = batch[author] if author else [""] * len(names)
        for called, latitude, longitude, by in zip(names, batch[wanted[0]], batch[wanted[1]], authors, strict=True):
            rows.add("" if called is None else str(called).strip(), latitude, longitude, str(by or ""))
    kept = rows.kept(author is not None)
    return rows.scan(kept, TableStore(name, photos, image), kept.origin)


def _image_column(table: Any, name: str) -> str:
    kinds = {column: type(kind).__name__ for column, kind in table.features.items()}
    typed = [column for column, kind in kinds.items() if kind == "Image"]
    named = [known for known in IMAGE_NAMES for column in kinds if column.casefold() == known]
    if len(typed) == 1:
        return str(typed[0])
    choices = [
        column for known in named for column in kinds if column.casefold() == known and (not typed or column in typed)
    ]
    if not choices:
        found = ", ".join(kinds)[:80]
        raise InputError(
            f"{name}: no column of pictures among {found!r}; expected one called {', '.join(IMAGE_NAMES[:4])}"
        )
    return str(choices[0])


def _name_and_split(source: str) -> tuple[str, str | None]:
    name, at, split = source.rpartition("@")
    return (name, split) if at and not Path(source).exists() else (source, None)


def _load(name: str, split: str | None) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError(f"hf:{name}", "datasets", "datasets") from error
    try:
        folder = Path(name)
        saved = folder.is_dir() and any((folder / f).exists() for f in ("state.json", "dataset_dict.json"))
        table = datasets.load_from_disk(name) if saved else datasets.load_dataset(name, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"hf:{name}: cannot be loaded ({reason}); check its name, its split and the connection"
        ) from error
    if isinstance(table, dict):
        if split is None and len(table) == 1:
            split = next(iter(table))
        if split not in table:
            raise InputError(
                f"hf:{name}: its splits are {', '.join(map(str, table))}; type hf:{name}@{next(iter(table))}"
            )
        table = table[split]
    return table
