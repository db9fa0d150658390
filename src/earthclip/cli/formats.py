"""Formats of outputs, by suffix or --format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from earthclip.cli.layout import nearest

# The formats of answers, with the suffixes of their files. Spelled out, since to import the writers would make --help
# load numpy; a test holds the names together with theirs.
FORMATS = {
    "table": (),
    "json": (".json",),
    "jsonl": (".jsonl", ".ndjson"),
    "csv": (".csv",),
    "geojson": (".geojson",),
    "kml": (".kml",),
    "plan": (".csv",),
    "geoparquet": (".parquet", ".geoparquet"),
    "geopackage": (".gpkg",),
}


def format_of(output: Path | None, given: str | None, formats: Mapping[str, Sequence[str]], otherwise: str) -> str:
    """The format that the suffix of ``output`` or --format names, ``otherwise`` where neither does.

    ``formats`` has the suffixes of each format; a suffix alone means the first that has it. No suffix and .txt go with
    any of them. Raises UsageError when the two contradict each other, or for a suffix that is not known.
    """
    suffix = output.suffix.lower() if output else ""
    meant = next((name for name, suffixes in formats.items() if suffix in suffixes), None)
    if meant and given and suffix not in formats[given]:
        raise click.UsageError(f"-o {output} means --format {meant} by its suffix, found --format {given}.")
    if meant or given or suffix in ("", ".txt"):
        return given or meant or otherwise
    known = [suffix for suffixes in formats.values() for suffix in suffixes]
    raise click.UsageError(f"-o {output}: the suffix '{suffix}' names no format; {nearest(suffix, known)}")
