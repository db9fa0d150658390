"""The pictures of a block, fetched and read on the worker: files, addresses, and cells of Parquet tables."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any, TypeAlias

from earthclip.cluster.blocks import rows_of, table_schema
from earthclip.cluster.storage import below, folder_of, is_address, read_bytes
from earthclip.errors import InputError
from earthclip.outputs.table import printable
from earthclip.pictures.prepare import Failure, Prepared
from earthclip.pictures.reader import Named, Reader

# In the order in which a table is searched, when nobody names its column.
COLUMN_NAMES = ("image", "picture", "photo", "img", "bytes", "content", "data", "jpg", "jpeg", "png", "webp")
PATH_NAMES = ("path", "image_path", "img_path", "filepath", "file", "filename", "file_name", "url", "uri", "image_url")
_BYTES, _TEXTS = ("binary", "large_binary", "binary_view"), ("string", "large_string", "string_view")

Subject: TypeAlias = tuple[str, int | None]  # the path as it was given, and the row where it is a table's
_Source: TypeAlias = str | Named | Failure


def read_pieces(
    reader: Reader, pieces: Any, base: str, column: str | None, ahead: int
) -> Iterator[tuple[Subject, Prepared | Failure]]:
    """Each picture of a block's pieces (see cluster.blocks.COLUMNS), in order, at most ``ahead`` at the same time.

    None is read in this process, so that a picture that ends its reader is a Failure and not a lost worker of Ray.
    """
    subjects, sources = itertools.tee(_sources(pieces, base, column))
    with contextlib.closing(reader.read_ahead((source for _, source in sources), ahead, few=0)) as pictures:
        for picture, (subject, source) in zip(pictures, subjects, strict=True):
            if isinstance(picture, Failure) and isinstance(source, str):
                name = subject_name(subject)  # the path as it was given, or the row of a table that has it
                yield subject, Failure(name, picture.error.replace(source, name))
            else:
                yield subject, picture


def subject_name(subject: Subject) -> str:
    """What messages call it: its path, and the row in it."""
    path, row = subject
    return path if row is None else f"{path}, row {row}"


def find_column(schema: Any, column: str | None, where: str) -> str:
    """The column of pictures or of their paths: ``column``, or else the first that is called and typed like one.

    Raises InputError when there is none, or it holds neither bytes nor text.
    """
    kinds = {name: _kind(schema.field(name).type) for name in schema.names}
    if column is not None:
        if not kinds.get(column, ""):
            found = f"of type {schema.field(column).type}" if column in kinds else f"not among {', '.join(kinds)}"
            raise InputError(f"{where}: column {column} is {found}; expected one of bytes or of paths")
        return column
    for wanted in (*COLUMN_NAMES, *PATH_NAMES):
        for name, kind in kinds.items():
            if str(name).lower() == wanted and kind:
                return str(name)
    raise InputError(
        f"{where}: found the columns {', '.join(kinds)[:120]}; expected one called image or path, of bytes, paths or "
        "both; name it with --column"
    )


def _kind(kind: Any) -> str:
    text = str(kind)
    if text in _BYTES:
        return "bytes"
    if text in _TEXTS or text.startswith("dictionary<values=string"):
        return "path"
    if text.startswith("struct<") and any(kind.field(i).name in ("bytes", "path") for i in range(kind.num_fields)):
        return "both"  # as Hugging Face's datasets keep pictures
    return ""


def _sources(pieces: Any, base: str, column: str | None) -> Iterator[tuple[Subject, _Source]]:
    for piece in pieces.to_pylist():
        path, first = piece["path"], piece["row"]
        if piece["error"] is not None:
            yield (path, None), Failure(path, piece["error"])
        elif piece["group"] is None:
            yield (path, None), _file(below(base, path), path)
        else:
            try:
                where = below(base, path)
                cells = _cells(where, piece, column)
            except InputError as error:  # its rows are known, and each must have an answer
                for row in range(first, first + piece["rows"]):
                    yield (path, row), Failure(path, str(error))
                continue
            folder = folder_of(where)
            for row, cell in enumerate(cells, start=first):
                yield (path, row), _source(cell, folder, subject_name((path, row)))


def _cells(where: str, piece: dict[str, Any], column: str | None) -> list[Any]:
    name = find_column(table_schema(where), column, where)
    table = rows_of(where, piece["group"], piece["skip"], piece["rows"], [name])
    cells: list[Any] = table.column(name).to_pylist()
    return cells


def _source(cell: Any, folder: str, name: str) -> _Source:
    """Where a cell's picture is: in it, or at the path in it, which is relative to the table's folder."""
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, str) and cell.strip():
        return _file(below(folder, cell), name)
    if isinstance(cell, bytes) and cell:
        return Named(name, cell)
    return Failure(name, f"{printable(name)}: no picture and no path in the row")


def _file(where: str, name: str) -> _Source:
    return Named(name, partial(read_bytes, where)) if is_address(where) else where
