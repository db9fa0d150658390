"""``earthclip cluster locate|embed|features``: the same work on the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from earthclip.cli import options
from earthclip.cli.options import command, shared
from earthclip.cli.status import libraries_muted, note, say

F = TypeVar("F", bound=Callable[..., Any])

_ADDRESS = click.Path()  # text, completed as paths are: a Path would take a slash from s3://
_resume = shared("--resume", is_flag=True, help="Continue an interrupted run that was writing to FOLDER.")
_workers = shared(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Number of models that run at the same time. The default is as many as fit.",
)
_worker_cpus = shared(
    "--worker-cpus",
    type=click.IntRange(1),
    metavar="N",
    advanced=True,
    help="Processors for each of --workers.",
)
_column = shared(
    "--column",
    metavar="NAME",
    advanced=True,
    help="Parquet column that holds the pictures or their paths.",
)


def _run_options(unit: str = "pictures") -> Callable[[F], F]:
    """Where a run writes and how its work is shared out: the fields of a ClusterRun, ``unit`` being what it counts."""

    def with_options(function: F) -> F:
        for option in (
            _worker_cpus(),
            options.option(
                "--block-size",
                type=click.IntRange(1),
                metavar="N",
                advanced=True,
                help=f"Number of {unit} in each file of FOLDER.",
            ),
            _workers(),
            options.force(),
            _resume(),
            options.option(
                "-o",
                "--output",
                type=_ADDRESS,
                required=True,
                metavar="FOLDER",
                help="Folder or address to write Parquet files to. All machines must reach it.",
            ),
        ):
            function = option(function)
        return function

    return with_options


@command(
    examples="""
    earthclip cluster locate photos/ -o places
    earthclip cluster locate "s3://bucket/photos/*.jpg" -o s3://bucket/places
    earthclip cluster locate photos.parquet -o places --column image --resume
    """
)
@options.pictures(type=_ADDRESS)
@options.model()
@options.text(multiple=False, help="Describe the place, together with the pictures.")
@options.region()
@options.prior()
@options.top_k()
@options.min_confidence()
@_run_options()
@options.listed()
@options.text_weight()
@options.views(advanced=True)
@options.force_answer()
@options.refine()
@options.runtime()
@options.precision()
@options.full_size()
@_column()
def locate(pictures: tuple[str, ...], listed: Path | None, text: str | None, **given: Any) -> int:
    """Guess where pictures were taken, on many machines.

    PICTURE is a file, a folder, a quoted pattern, an address such as s3://bucket/photos/, or a Parquet table that holds
    pictures or their paths. Every machine must reach it, and needs the same model.

    FOLDER gets a Parquet file for each block of pictures, with one row for each picture. docs/clusters.md explains the
    columns.
    """
    from earthclip.cli.answering import ask_of
    from earthclip.cli.cluster_run import ClusterRun, locate_on_cluster

    _need_pictures(pictures, listed)
    run = ClusterRun.taken_from(given)
    with libraries_muted():
        return locate_on_cluster(ask_of(text=(text,) if text else (), several=True, **given), pictures, listed, run)


@command(
    examples="""
    earthclip cluster embed images "s3://bucket/photos/" -o s3://bucket/embeddings
    earthclip cluster embed images photos.parquet -o embeddings --column image
    """
)
@options.pictures(type=_ADDRESS)
@options.one_model()
@_run_options()
@options.listed()
@options.views(advanced=True)
@options.runtime()
@options.precision()
@options.full_size()
@_column()
def images(pictures: tuple[str, ...], listed: Path | None, **given: Any) -> int:
    """Turn images into embeddings, on many machines.

    PICTURE is a file, a folder, a quoted pattern, an address such as s3://bucket/photos/, or a Parquet table that holds
    pictures or their paths.

    FOLDER gets a Parquet file for each block of pictures, with the columns path, row, embedding and error.
    """
    from earthclip.cli.answering import ask_of
    from earthclip.cli.cluster_run import ClusterRun, embed_images_on_cluster

    _need_pictures(pictures, listed)
    run = ClusterRun.taken_from(given)
    with libraries_muted():
        return embed_images_on_cluster(ask_of(**given), pictures, listed, run)


@command(
    examples="""
    earthclip cluster embed places places.parquet -o embeddings
    earthclip cluster embed places "s3://bucket/*.parquet" -o s3://bucket/out
    """
)
@click.argument("table", metavar="INPUT", type=_ADDRESS)
@options.one_model()
@_run_options("rows")
@options.runtime()
@options.precision()
def places(table: str, **given: Any) -> int:
    """Turn coordinates into embeddings, on many machines.

    INPUT is a Parquet file, an address of one such as s3://bucket/places.parquet, or a pattern or folder of them.

    FOLDER gets the same rows with the columns feature_000, feature_001 and so on added, and a column error.
    """
    from earthclip.cli.answering import ask_of
    from earthclip.cli.cluster_run import ClusterRun, embed_places_on_cluster

    run = ClusterRun.taken_from(given)
    with libraries_muted():
        return embed_places_on_cluster(ask_of(**given), table, run)


@command(
    examples="""
    earthclip cluster features /data/photos -o /data/out --backbone /data/clip
    """
)
@click.argument("source", metavar="SOURCE")
@options.out_folder(help="Folder to write the features to. All machines must reach it.")
@options.backbone()
@options.images()
@options.feature_views()
@options.seed(help="Random seed for the SimCLR views.")
@_workers()
@_resume(help="Continue an interrupted run in DIR.")
@_worker_cpus()
def features(
    source: str,
    out: Path,
    backbone: str,
    images: Path | None,
    views: int,
    seed: int,
    workers: int | None,
    worker_cpus: int | None,
    resume: bool,
) -> int:
    """Precompute image features for training, on many machines.

    SOURCE is a data set, as in `earthclip data --help`. The photos, the backbone and DIR must have the same paths on
    all machines.
    """
    from earthclip.cli.cluster_features import ExtractionJob, extract_on_cluster
    from earthclip.datasets.feature_store import open_features
    from earthclip.datasets.opening import open_photos
    from earthclip.files import home
    from earthclip.training.networks import backbone_folder

    here = Path(source).exists()
    photos = open_photos(
        str(Path(source).absolute()) if here else source, images=images and images.absolute(), cache=home() / "shards"
    )
    if photos.skipped:
        note(f"{photos.name}: {photos.skipped}")
    job = ExtractionJob(photos, backbone_folder(backbone).absolute(), str(out.absolute()), views, seed)
    with libraries_muted():
        extract_on_cluster(job, resume=resume, workers=workers, processors=worker_cpus)
    failed = open_features(out).failed
    for row, why in list(failed.items())[:3]:
        say(f"warning: {photos.ids[row]}: {why}")
    note(f"{out.absolute()}: features of {len(photos) - len(failed):,} photos, {len(failed):,} could not be read")
    return 1 if failed else 0


def _need_pictures(pictures: tuple[str, ...], listed: Path | None) -> None:
    if not pictures and not listed:
        raise click.UsageError("give a PICTURE; a text alone needs no cluster.")
