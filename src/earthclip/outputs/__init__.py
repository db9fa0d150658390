"""Answers as table, JSON, JSON Lines, CSV, GeoJSON, KML, GeoParquet, GeoPackage or a plan, written as they come.

Only here, and where other people's formats are read, is longitude put first. Maps and sidecars of single pictures are
``map_png``, ``html_map`` and ``sidecar``.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Protocol, TextIO, TypedDict, Unpack

from earthclip.errors import OutputError
from earthclip.files import atomic_write, remove_left
from earthclip.locating.prediction import Prediction
from earthclip.outputs.geojson import GeoJSONWriter
from earthclip.outputs.geopackage import GeoPackageWriter, import_pyogrio
from earthclip.outputs.geoparquet import GeoParquetWriter, import_pyarrow
from earthclip.outputs.kml import KMLWriter
from earthclip.outputs.plan import PlanWriter
from earthclip.outputs.structured import JSONLinesWriter, JSONWriter
from earthclip.outputs.table import CSVWriter, TableWriter
from earthclip.pictures.prepare import Failure

__all__ = ["FORMATS", "Writer", "WriterOptions", "check_format", "open_writer", "writer"]


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
_BINARY: dict[str, Callable[[IO[bytes]], Writer]] = {"geoparquet": GeoParquetWriter, "geopackage": GeoPackageWriter}
_LIBRARIES = {"geoparquet": import_pyarrow, "geopackage": import_pyogrio}
FORMATS = (*_TEXT, *_BINARY)


_SHARED = ("geojson", "kml", "geopackage")  # made to be passed on: they have no folders of their maker's


class WriterOptions(TypedDict, total=False):
    """What some formats show, and others do not.

    GeoJSON, KML and GeoPackage have the names of pictures' files, or with ``full_paths`` their paths; other formats
    have paths. The table names each answer's model where there are ``several_models``; other formats always do.
    """

    full_paths: bool
    several_models: bool


def writer(format: str, stream: TextIO, **shown: Unpack[WriterOptions]) -> Writer:
    """A writer of a format that is text onto a text stream (open it with ``newline=""``).

    Raises OutputError for a binary format, which needs a file: ``open_writer``.
    """
    check_format(format, None)
    return _made(_TEXT[format], format, shown)(stream)


@contextlib.contextmanager
def open_writer(
    format: str, path: Path, *, overwrite: bool = False, **shown: Unpack[WriterOptions]
) -> Iterator[Writer]:
    """A writer of one of ``FORMATS`` into a file that appears, complete, when the block ends without an error.

    Raises OutputError when ``path`` exists and not ``overwrite`` or cannot be written, MissingExtraError when the
    format needs an extra.
    """
    check_format(format, path)
    remove_left(path)
    with atomic_write(path, overwrite=overwrite) as file:
        if format in _BINARY:
            out = _made(_BINARY[format], format, shown)(file)
            yield out
            out.close()
            return
        text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
        out = _made(_TEXT[format], format, shown)(text)
        yield out
        out.close()
        text.detach()


def _made(kind: Callable[..., Writer], format: str, shown: WriterOptions) -> Callable[..., Writer]:
    if format == "table":
        return partial(kind, several_models=shown.get("several_models", False))
    return partial(kind, full_paths=True) if shown.get("full_paths") and format in _SHARED else kind


def check_format(format: str, path: Path | None) -> None:
    """Raise OutputError or MissingExtraError when ``format`` cannot be written to ``path`` (None: a text stream)."""
    if format not in FORMATS:
        raise OutputError(f"unknown format {format!r}; expected one of {', '.join(FORMATS)}")
    if format in _BINARY:
        if path is None:
            raise OutputError(f"{format} is a binary format; name a file with -o FILE")
        _LIBRARIES[format]()
