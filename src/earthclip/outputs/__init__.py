"""Answers as table, JSON, JSON Lines, CSV or GeoJSON, written as they come; only here is longitude put first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TextIO

from earthclip.outputs.delimited import CSVWriter
from earthclip.outputs.geojson import GeoJSONWriter
from earthclip.outputs.structured import JSONLinesWriter, JSONWriter
from earthclip.outputs.table import TableWriter
from earthclip.prediction import Failure, Prediction

__all__ = ["FORMATS", "Writer", "writer"]


class Writer(Protocol):
    """Takes answers one by one; ``close`` completes the document but leaves the stream open."""

    def write(self, answer: Prediction | Failure) -> None:
        """Write one answer and flush it."""

    def close(self) -> None:
        """Write what the document still needs to be valid, also when there was no answer."""


_WRITERS: dict[str, Callable[[TextIO], Writer]] = {
    "table": TableWriter,
    "json": JSONWriter,
    "jsonl": JSONLinesWriter,
    "csv": CSVWriter,
    "geojson": GeoJSONWriter,
}
FORMATS = tuple(_WRITERS)


def writer(format: str, stream: TextIO) -> Writer:
    """A writer of one of ``FORMATS`` onto a text stream (open it with ``newline=""``)."""
    return _WRITERS[format](stream)
