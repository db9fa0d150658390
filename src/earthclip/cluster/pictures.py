"""The pictures of a block, fetched and read on the worker: files, addresses, and cells of Parquet tables."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

from earthclip.cluster.blocks import rows_of, table_schema
from earthclip.cluster.storage import below, folder_of, is_address, read_bytes, remove_left
from earthclip.errors import EarthCLIPError, InputError
from earthclip.outputs.table import printable
from earthclip.pictures.prepare import Failure, Prepared
from earthclip.pictures.preprocess import Preprocessing
from earthclip.pictures.processes import Workers

# In the order in which a table is searched, when nobody names its column.
COLUMN_NAMES = ("image", "picture", "photo", "img", "bytes", "content", "data", "jpg", "jpeg", "png", "webp")
PATH_NAMES = ("path", "image_path", "img_path", "filepath", "file", "filename", "file_name", "url", "uri", "image_url")
PREFIX = "earthclip-pictures-"
_DOWNLOADS = 8  # at the same time, for each worker
_BYTES, _TEXTS = ("binary", "large_binary", "binary_view"), ("string", "large_string", "string_view")

Subject: TypeAlias = tuple[str, int | None]  # the path as it was given, and the row where it is a table's
_Source: TypeAlias = bytes | str | Failure


class PictureReader:
    """Reads pictures in processes of their own, so that one that ends its reader is a Failure and not a lost worker."""

    def __init__(self, preprocessing: Preprocessing, views: str, draft: bool, readers: int, ahead: int) -> None:
        self._workers = Workers(preprocessing, views, draft)
        self._reading = threading.Semaphore(readers)
        self._ahead = ahead + _DOWNLOADS
        self._threads = ThreadPoolExecutor(_DOWNLOADS + readers, thread_name_prefix="earthclip-fetch")
        remove_left(PREFIX)
        self._folder = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-")

    def close(self) -> None:
        """End the reading processes and remove what was downloaded."""
        self._workers.close()
        self._threads.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def read(self, pieces: Any, base: str, column: str | None) -> Iterator[tuple[Subject, Prepared | Failure]]:
        """Each picture of a block's pieces (see cluster.blocks.COLUMNS), in order, a bounded number ahead."""
        reading: deque[tuple[Subject, Future[Prepared | Failure]]] = deque()
        try:
            for subject, source in _sources(pieces, base, column):
                reading.append((subject, self._threads.submit(self._read_one, subject, source)))
                if len(reading) == self._ahead:
                    first, future = reading.popleft()
                    yield first, future.result()
            while reading:
                first, future = reading.popleft()
                yield first, future.result()
        finally:
            for _, future in reading:
                future.cancel()

    def _read_one(self, subject: Subject, source: _Source) -> Prepared | Failure:
        name = subject_name(subject)
        if isinstance(source, Failure):
            return source
        if isinstance(source, str) and not is_address(source):
            return self._read_file(Path(source), name)
        try:
            data = read_bytes(source) if isinstance(source, str) else source
        except EarthCLIPError as error:
            return Failure(name, str(error))
        path = Path(self._folder.name, str(threading.get_ident()))
        try:
            path.write_bytes(data)
            return self._read_file(path, name)
        finally:
            path.unlink(missing_ok=True)

    def _read_file(self, path: Path, name: str) -> Prepared | Failure:
        with self._reading:
            read = self._workers.read(path)
        return Failure(name, read.error.replace(str(path), name)) if isinstance(read, Failure) else read


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
            yield (path, None), below(base, path)
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
        return below(folder, cell)
    if isinstance(cell, bytes) and cell:
        return cell
    return Failure(name, f"{printable(name)}: no picture and no path in the row")
