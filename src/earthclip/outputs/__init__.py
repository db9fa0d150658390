"""Answers as table, JSON, JSON Lines, CSV, GeoJSON, KML, GeoParquet or a plan, written as they come.

Only here, and where other people's formats are read, is longitude put first. Maps and sidecars of single pictures are
``map_png``, ``html_map`` and ``sidecar``.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol, TextIO

from earthclip.errors import OutputError
from earthclip.files import atomic_write, remove_left
from earthclip.locating.prediction import Prediction
from earthclip.outputs.geojson import GeoJSONWriter
from earthclip.outputs.geoparquet import GeoParquetWriter, import_pyarrow
from earthclip.outputs.kml import KMLWriter
from earthclip.outputs.plan import PlanWriter
from earthclip.outputs.structured import JSONLinesWriter, JSONWriter
from earthclip.outputs.table import CSVWriter, TableWriter
from earthclip.pictures.prepare import Failure

__all__ = ["FORMATS", "Writer", "check_format", "open_writer", "writer"]


class Writer(Protocol):
    """Takes answers one by one; ``close`` completes the document but leaves the stream open."""

    def write(self, answer: Prediction | Failure) -> None:
        """Write one answer and flush it."""

    def close(self) -> None:
        """Write what the document still needs to be valid, also when there was no answer."""


_TEXT: dict[str, Callable[[TextIO], Writer]] = {
    "table": TableWriter,
    "json": JSONWriter,
    "jsonl": JSONLinesWriter,
    "csv": CSVWriter,
    "geojson": GeoJSONWriter,
    "kml": KMLWriter,
    "plan": PlanWriter,
}
_BINARY: dict[str, Callable[[IO[bytes]], Writer]] = {"geoparquet": GeoParquetWriter}
FORMATS = (*_TEXT, *_BINARY)


def writer(format: str, stream: TextIO) -> Writer:
    """A writer of a format that is text onto a text stream (open it with ``newline=""``).

    Raises OutputError for a binary format, which needs a file: ``open_writer``.
    """
    check_format(format, None)
    return _TEXT[format](stream)


@contextlib.contextmanager
def open_writer(format: str, path: Path, *, overwrite: bool = False) -> Iterator[Writer]:
    """A writer of one of ``FORMATS`` into a file that appears, complete, when the block ends without an error.

    Raises OutputError when ``path`` exists and not ``overwrite`` or cannot be written, MissingExtraError when the
    format needs an extra.
    """
    check_format(format, path)
    remove_left(path)
    with atomic_write(path, overwrite=overwrite) as file:
        if format in _BINARY:
            out = _BINARY[format](file)
            yield out
            out.close()
            return
        text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
        out = _TEXT[format](text)
        yield out
        out.close()
        text.detach()


def check_format(format: str, path: Path | None) -> None:
    """Raise OutputError or MissingExtraError when ``format`` cannot be written to ``path`` (None: a text stream)."""
    if format not in FORMATS:
        raise OutputError(f"unknown format {format!r}; expected one of {', '.join(FORMATS)}")
    if format in _BINARY:
        if path is None:
            raise OutputError(f"{format} is a binary format; name a file with -o FILE")
        import_pyarrow()
