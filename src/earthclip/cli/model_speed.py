"""How fast each runtime and precision runs a model's encoders here: measured with progress, printed as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from earthclip.cli.status import StatusLine, note

if TYPE_CHECKING:
    from earthclip.locating.locator import Locator
    from earthclip.models.folder import ModelFolder
    from earthclip.models.measured import Record, Row

MANY = 200  # pictures that are worth measuring for before they are answered


def measure_speed(locator: Locator, **which: Any) -> None:
    """Measure what is not measured yet, with progress; silent where there is nothing to do."""
    status = StatusLine()
    locator.measure_speed(lambda way: status.show(f"measuring what is fastest here, once: {way}"), **which)
    status.clear()


def measure_for(locator: Locator, count: Callable[[], int | None]) -> None:
    """``measure_speed`` where ``count`` says that enough pictures are to be answered for it to pay."""
    if (count() or 0) >= MANY:
        measure_speed(locator)


def print_speed(folders: list[ModelFolder]) -> None:
    """Print the table of each model, measuring what is missing first."""
    for folder, record, line in _lines(folders):
        if line == 0:
            what = "ms a picture" if record.encoder == "image" else "ms for 1,024 places"
            click.echo(f"{folder.config.name}, {record.encoder} encoder, {what}, on {record.machine}")
            click.echo(f"    {'runs on':30}{'alone':>8}{'of eight':>10}  lowest cosine")
        row = record.rows[line]
        click.echo(f"  {'*' if line == record.chosen else ' '} {_way(row):30}{_figures(row, folder)}")
    click.echo("\n* is used, but for a few pictures ONNX Runtime where the model is below 16 MB.")
    click.echo("--runtime and --precision choose another.")


def speed_objects(folders: list[ModelFolder]) -> list[dict[str, Any]]:
    """The same, one object for each row."""
    from earthclip.configuration import to_mapping

    return [
        {"model": folder.config.name, "encoder": record.encoder, "used": line == record.chosen}
        | to_mapping(record.rows[line])
        for folder, record, line in _lines(folders)
    ]


def _lines(folders: list[ModelFolder]) -> Iterator[tuple[ModelFolder, Record, int]]:
    from earthclip.locating.locator import Locator
    from earthclip.models.fastest import files_of
    from earthclip.models.measured import can_keep, read_record
    from earthclip.models.race import ENCODERS, measure, missing_from

    for folder in folders:
        missing = missing_from(folder)
        if missing and can_keep():
            note(f"Measuring the speed of {folder.config.name}, once (a minute or two for ViT-L/14)")
            measure_speed(Locator(folder))
        for kind in ENCODERS:
            if not files_of(folder, kind):
                continue
            # Where nothing can be kept, it is measured for this table alone.
            record = read_record(kind, files_of(folder, kind)) or measure(folder, kind)
            for line in range(len(record.rows)):
                yield folder, record, line


def _way(row: Row) -> str:
    threads = "" if row.threads is None else f", {row.threads} thread{'s' if row.threads != 1 else ''}"
    return f"{row.runtime} {row.precision}{' on CUDA' if row.gpu else ''}{threads}"


def _figures(row: Row, folder: ModelFolder) -> str:
    from earthclip.models.fastest import int8_allowed

    if row.fault is not None:
        return f"  left out: {row.fault}"
    alone, eight = (f"{ms:,.1f}" if ms is not None else "-" for ms in (row.alone_ms, row.together_ms))
    only = "  only with --precision int8" if row.precision == "int8" and not int8_allowed(folder) else ""
    return f"{alone:>8}{eight:>10}  {row.lowest_cosine or 0:.5f}{only}"
