"""``earthclip features SOURCE -o DIR``: a frozen backbone's features of photos, computed once for all training."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli import options
from earthclip.cli.data import SHARDS
from earthclip.cli.status import Pace, StatusLine, libraries_muted, note, say


@options.command(
    examples="""
    earthclip features photos/ -o out --backbone openai/clip-vit-large-patch14
    earthclip features photos/ -o out --backbone clip/ --views 5 --resume
    """,
    old={
        "--engine": "earthclip cluster features SOURCE -o DIR",
        "--worker-cpus": "earthclip cluster features SOURCE -o DIR --worker-cpus N",
    },
)
@click.argument("source", metavar="SOURCE")
@options.out_folder(help="Folder to write the features to.")
@options.backbone()
@options.images()
@options.feature_views()
@options.seed(help="Random seed for the SimCLR views.")
@options.workers(type=click.IntRange(1), default=2, show_default=True, help="Number of processes that decode photos.")
@options.resume(help="Continue an interrupted run in DIR.")
def features(
    source: str, out: Path, backbone: str, images: Path | None, views: int, seed: int, workers: int, resume: bool
) -> int:
    """Precompute image features of photos with known places, for `earthclip train`.

    SOURCE is a folder of photos with GPS positions, a table, shards or a benchmark; `earthclip data --help` lists them
    all. Writes files of 4,096 photos in float16. An interrupted run loses only the file that was being written.

    The exit code is 1 if some photos could not be read.
    """
    from earthclip.datasets.opening import open_photos
    from earthclip.files import home
    from earthclip.training.extract import extract
    from earthclip.training.networks import backbone_folder

    photos = open_photos(source, images=images, cache=home() / SHARDS)
    if photos.skipped:
        note(f"{photos.name}: {photos.skipped}")
    status, pace = StatusLine(), Pace(len(photos))
    with libraries_muted():
        failed = extract(
            photos,
            backbone_folder(backbone),
            out,
            views=views,
            seed=seed,
            workers=workers,
            resume=resume,
            progress=lambda done, n: status.show(pace.text(done)),
        )
    status.clear()
    for row, why in list(failed.items())[:3]:
        say(f"warning: {photos.ids[row]}: {why}")
    note(f"{out}: features of {len(photos) - len(failed):,} photos, {len(failed):,} could not be read")
    return 1 if failed else 0
