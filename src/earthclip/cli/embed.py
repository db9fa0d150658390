"""``earthclip embed images|places``: embeddings of images and of coordinates, for other people's models."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earthclip.cli import options
from earthclip.cli.options import command
from earthclip.cli.status import Pace, StatusLine, libraries_muted, note, say
from earthclip.cli.tree import RenamedError
from earthclip.models import Precision, Runtime

if TYPE_CHECKING:
    from earthclip.cli.answering import Ask
    from earthclip.datasets.tables import Table
    from earthclip.locating.locator import Locator
    from earthclip.outputs.embeddings import FeatureWriter

_LARGE = 5_000_000  # bytes of a table that is worth measuring for before it is read
_BATCH = 8192  # rows from one progress report to the next
_OUTPUT = "Write to FILE, which ends in .npy, .csv or .parquet. `-` writes CSV to standard output."


def renamed(arguments: list[str]) -> list[str]:
    """Arguments of ``earthclip embed`` that name neither images nor places, as before there were both."""
    if arguments[0].startswith("-") or "." in arguments[0]:
        raise RenamedError("'earthclip embed TABLE' is now 'earthclip embed places TABLE'")
    return arguments


@command(
    examples="""
    earthclip embed places places.csv -o embeddings.npy
    earthclip embed places places.parquet --model geoclip -o embeddings.parquet
    """,
    old={"--engine": "earthclip cluster embed places", "--block-size": "earthclip cluster embed places --block-size"},
)
@click.argument("table", metavar="INPUT", type=options.LocalPath(path_type=Path, allow_dash=True))
@options.one_model()
@options.output(required=True, help=_OUTPUT)
@options.force()
@options.runtime()
@options.precision()
def places(
    table: Path, source: str | None, output: Path | None, force: bool, runtime: Runtime, precision: Precision
) -> None:
    """Turn coordinates into embeddings: one unit vector for each row of INPUT.

    INPUT is a CSV, TSV or Parquet file, or `-` for CSV on standard input. It has a column called lat or latitude and
    one called lon, lng, long or longitude, in degrees.

    FILE.npy is a float32 array [rows, size]. FILE.csv and FILE.parquet are INPUT with the columns feature_000,
    feature_001 and so on added.
    """
    from earthclip.cli.answering import ask_of, introduce, open_model
    from earthclip.files import refuse_inputs
    from earthclip.outputs.embeddings import check_features_path, files_of

    refuse_inputs(files_of(output), [table])
    check_features_path(output, force)  # before the imports below, which take longer than to see this

    from earthclip.cli.model_speed import measure_speed
    from earthclip.datasets.tables import open_table
    from earthclip.outputs.embeddings import keeps_columns, open_features

    with open_table(table, all_columns=keeps_columns(output)) as coordinates:
        ask = ask_of(source, runtime=runtime, precision=precision, for_places=True)
        locator = open_model(ask)
        introduce(locator.folder, ask)
        if table.is_file() and table.stat().st_size >= _LARGE:
            measure_speed(locator, encoders=("places",))
        width = locator.config.embedding_size
        with open_features(output, coordinates, width, overwrite=force) as writer:
            rows = _embed(coordinates, locator, writer)
    if not rows:
        note(f"no places: {coordinates.source} has no rows")
    note(f"{output or 'standard output'}: {rows:,} rows, {width} features")


def _embed(table: Table, locator: Locator, writer: FeatureWriter) -> int:
    """Write the embeddings of every row; returns how many rows there were."""
    import numpy as np

    status, began, done = StatusLine(), time.monotonic(), 0
    total = "" if table.n_rows is None else f" of {table.n_rows:,}"
    writing: Future[None] | None = None
    try:
        with ThreadPoolExecutor(1) as writers:  # the disk works while the next rows are embedded
            for chunk in table.chunks():
                features = np.empty((len(chunk.coordinates), locator.config.embedding_size), np.float32)
                for start in range(0, len(features), _BATCH):
                    rows = slice(start, start + _BATCH)
                    features[rows] = locator.encode_location(chunk.coordinates[rows])
                    done += len(features[rows])
                    status.show(f"{done:,}{total} rows, {done / (time.monotonic() - began):,.0f} a second")
                if writing:
                    writing.result()
                writing = writers.submit(writer.write, chunk.cells, features)
            if writing:
                writing.result()
    finally:
        status.clear()
    return done


@command(
    examples="""
    earthclip embed images photos/ -o embeddings.npy
    earthclip embed images photos/ more.jpg --model geoclip -o embeddings.parquet
    """
)
@options.pictures()
@options.one_model()
@options.output(required=True, help=_OUTPUT)
@options.force()
@options.listed()
@options.views(advanced=True)
@options.runtime()
@options.precision()
@options.workers(advanced=True)
@options.full_size()
def images(
    pictures: tuple[Path, ...],
    source: str | None,
    output: Path | None,
    force: bool,
    listed: Path | None,
    views: str,
    runtime: Runtime,
    precision: Precision,
    workers: int | None,
    full_size: bool,
) -> int:
    """Turn images into embeddings: one unit vector for each picture, in the order of the pictures.

    PICTURE is a file, a folder, a quoted pattern such as "photos/**/*.jpg", or `-` for a list of paths on standard
    input.

    FILE.csv and FILE.parquet have the columns path, error, feature_000, feature_001 and so on. FILE.npy is a float32
    array [pictures, size]. The paths and errors of its rows are in FILE.npy.csv.

    A picture that cannot be read keeps its row, so that rows and pictures stay aligned. The row is NaN in FILE.npy and
    empty in the tables, and the column error says why. With --views, a row is the mean of the views' unit vectors.
    """
    if not pictures and not listed:
        raise click.UsageError("give a PICTURE.")
    from earthclip.cli.answering import ask_of
    from earthclip.files import refuse_existing, refuse_inputs
    from earthclip.outputs.embeddings import check_features_path, files_of, keeps_columns, names_beside
    from earthclip.pictures.finding import check_list, known_pictures

    refuse_inputs(files_of(output), known_pictures(pictures, listed))
    check_features_path(output, force)
    if output and not keeps_columns(output) and not force:
        refuse_existing(names_beside(output))
    if listed:
        check_list(listed)
    ask = ask_of(source, runtime=runtime, precision=precision, views=views, full_size=full_size)
    with libraries_muted():
        return _embed_images(ask, pictures, listed, workers, output, force)


def _embed_images(
    ask: Ask, arguments: tuple[Path, ...], listed: Path | None, workers: int | None, output: Path | None, force: bool
) -> int:
    """Write the embedding of each picture; returns the exit code."""
    import numpy as np

    from earthclip.cli.answering import BATCH_SIZES, found_pictures, introduce_to_pictures, open_model, read_pictures
    from earthclip.cli.model_speed import measure_for
    from earthclip.outputs.embeddings import PictureTable, open_features
    from earthclip.outputs.table import printable
    from earthclip.pictures.finding import count_pictures
    from earthclip.pictures.prepare import Failure, Prepared, batches

    locator = open_model(ask)
    measure_for(locator, lambda: count_pictures(arguments, listed))
    width, status = locator.config.embedding_size, StatusLine()
    pace = Pace(count_pictures(arguments, listed) if status.active else None)
    embedded = failed = 0
    views = ask.question.views
    reading = read_pictures(locator, found_pictures(arguments, listed), views, workers, draft=ask.draft)
    with contextlib.closing(reading) as prepared:
        introduce_to_pictures(locator, ask)
        with open_features(output, PictureTable(), width, overwrite=force) as writer:
            for batch in batches(prepared, BATCH_SIZES[views]):
                faults = [picture.error if isinstance(picture, Failure) else None for picture in batch]
                rows = np.full((len(batch), width), np.nan, np.float32)
                if read := [picture for picture in batch if isinstance(picture, Prepared)]:
                    rows[[fault is None for fault in faults]] = locator.encode_image(read, len(read), views)
                writer.write(
                    [[printable(one.path), printable(fault) or None] for one, fault in zip(batch, faults, strict=True)],
                    rows,
                )
                for fault in filter(None, faults):
                    status.clear()
                    say(f"error: {fault}")
                embedded, failed = embedded + len(read), failed + len(batch) - len(read)
                status.show(pace.text(embedded + failed))
            status.clear()
            if failed and not embedded:
                raise click.exceptions.Exit(2)  # within the block, so that no file appears
    note(f"{output or 'standard output'}: {embedded:,} embedded, {failed:,} failed")
    return 1 if failed else 0
