"""``earthclip features SOURCE -o DIR``: a frozen backbone's features of photos, computed once for all training."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli.locate import ENGINES
from earthclip.cli.status import Pace, StatusLine, libraries_muted, say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="SOURCE")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where features go.")
@click.option("--backbone", required=True, metavar="CLIP", help="Its folder, or OWNER/NAME on the Hub.")
@click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the photos a table names.")
@click.option("--views", default=1, show_default=True, metavar="N", help="The photo itself, and N - 1 SimCLR views.")
@click.option("--seed", default=0, show_default=True, help="Of the views.")
@click.option(
    "--engine", type=click.Choice(ENGINES), default="local", show_default=True, help="ray: many machines, one folder."
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Processes that decode, 2; with ray: backbones at work, what fits.",
)
@click.option("--worker-cpus", type=click.IntRange(1), metavar="N", help="With ray: processors for each of --workers.")
@click.option("--resume", is_flag=True, help="Go on with features that a kill left unfinished.")
def features(
    source: str,
    out: Path,
    backbone: str,
    images: Path | None,
    views: int,
    seed: int,
    engine: str,
    workers: int | None,
    worker_cpus: int | None,
    resume: bool,
) -> int:
    """Run a frozen backbone once over photos with known places, for `earthclip train` to read its features.

    SOURCE is what `earthclip data check` takes: a folder of photos with GPS, a table, shards, a benchmark. Features
    are in float16, 4,096 photos a file; a kill costs what was under way of one. With --engine ray the machines of a
    cluster share the files out; photos, backbone and DIR lie where all reach them by the same name.

    \b
    earthclip features photos/ -o features --backbone openai/clip-vit-large-patch14
    earthclip features /shared/photos -o /shared/features --backbone /shared/clip --engine ray --resume
    """
    from earthclip.datasets.feature_store import open_features
    from earthclip.datasets.opening import open_photos
    from earthclip.files import home
    from earthclip.training.extract import extract
    from earthclip.training.networks import backbone_folder

    if worker_cpus and engine != "ray":
        raise click.UsageError("--worker-cpus is for --engine ray.")
    if engine == "ray":
        source, images, out = _everywhere(source), images and images.absolute(), out.absolute()
    photos = open_photos(source, images=images, cache=home() / "shards")
    if photos.skipped:
        say(f"{photos.name}: {photos.skipped}")
    if engine == "ray":
        from earthclip.cli.features_cluster import ExtractionJob, extract_on_cluster

        job = ExtractionJob(photos, backbone_folder(backbone).absolute(), str(out), views, seed)
        with libraries_muted():
            extract_on_cluster(job, resume=resume, workers=workers, processors=worker_cpus)
        failed = open_features(out).failed
    else:
        status, pace = StatusLine(), Pace(len(photos))
        with libraries_muted():
            failed = extract(
                photos,
                backbone_folder(backbone),
                out,
                views=views,
                seed=seed,
                workers=2 if workers is None else workers,
                resume=resume,
                progress=lambda done, n: status.show(pace.text(done)),
            )
        status.clear()
    for row, why in list(failed.items())[:3]:
        say(f"warning: {photos.ids[row]}: {why}")
    say(f"{out}: features of {len(photos) - len(failed):,} photos, {len(failed):,} could not be read")
    return 1 if failed else 0


def _everywhere(source: str) -> str:
    """A path of this machine as one that does not depend on the folder a process is in; anything else as it is."""
    return str(Path(source).absolute()) if Path(source).exists() else source
