"""``earthclip embed TABLE -o FILE``: features of coordinates, for other people's models."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earthclip.cli.locate import ENGINES
from earthclip.cli.status import StatusLine, libraries_muted, say
from earthclip.models import RUNTIMES, Runtime

if TYPE_CHECKING:
    from earthclip.datasets.coordinates import CoordinateTable
    from earthclip.locating.locator import Locator
    from earthclip.outputs.embeddings import FeatureWriter

_BATCH = 8192  # rows from one progress report to the next


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("table", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--model", "source", metavar="SOURCE", help="orbit, geoclip, or the path of a model folder.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", required=True, help=".npy, .csv or .parquet."
)
@click.option(
    "--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True, help="auto: OpenVINO if installed."
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option(
    "--engine", type=click.Choice(ENGINES), default="local", show_default=True, help="ray: many machines, -o FOLDER."
)
@click.option("--resume", is_flag=True, help="With ray: go on with the run that was ended.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="With ray: models at work; what fits.")
@click.option("--block-size", type=click.IntRange(1), metavar="N", help="With ray: rows in a file of features.")
def embed(
    table: Path,
    source: str | None,
    output: Path,
    runtime: Runtime,
    force: bool,
    engine: str,
    resume: bool,
    workers: int | None,
    block_size: int | None,
) -> int | None:
    """Turn coordinates into features: one unit vector for each row of TABLE.

    TABLE is a CSV or Parquet file, or - for CSV on standard input, with a column called lat or latitude and one
    called lon, lng, long or longitude, in degrees. FILE is a float32 array (.npy), or the TABLE with the features as
    further columns (.csv, .parquet). Without --model, geoclip answers where it is on this machine, else orbit.

    With --engine ray, TABLE is a Parquet file, an address of one such as s3://bucket/places.parquet, or a pattern or
    folder of them, and -o a folder or address.

    \b
    earthclip embed places.csv -o features.npy
    earthclip embed places.parquet --model geoclip -o features.parquet
    """
    from earthclip.cli.locate_cluster import ClusterRun, embed_on_cluster, refuse_addresses

    if engine == "ray":
        with libraries_muted():
            return embed_on_cluster(
                table, source, runtime, ClusterRun(output, resume, force, workers, None, block_size)
            )
    if resume or workers or block_size:
        raise click.UsageError("--resume, --workers and --block-size are for --engine ray.")
    refuse_addresses((table, output))
    from earthclip.outputs.embeddings import check_features_path

    check_features_path(output, force)  # before the imports below, which take longer than to see this

    from earthclip.datasets.coordinates import open_coordinates
    from earthclip.locating.locator import load
    from earthclip.models.sources import default_source
    from earthclip.outputs.embeddings import keeps_columns, open_features

    with open_coordinates(table, keeps_columns(output)) as coordinates:
        locator = load(source or default_source(), runtime=runtime)
        say(f"model: {locator.name}")
        width = locator.config.embedding_size
        with open_features(output, coordinates, width, overwrite=force) as writer:
            rows = _embed(coordinates, locator, writer)
    say(f"{output}: {rows:,} rows, {width} features")
    return None


def _embed(table: CoordinateTable, locator: Locator, writer: FeatureWriter) -> int:
    """Write the features of every row; returns how many rows there were."""
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
                writing = writers.submit(writer.write, chunk, features)
            if writing:
                writing.result()
    finally:
        status.clear()
    return done
