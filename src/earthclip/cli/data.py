"""``earthclip data check`` and ``data split``: whether a data set is fit to train or measure on, and its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from earthclip.cli import options
from earthclip.cli.status import StatusLine, note

SHARDS = "shards"  # in the cache folder: what was read of shards
_PARTS = {2: ("train", "test"), 3: ("train", "validation", "test")}


@options.command(
    examples="""
    earthclip data check im2gps3k:benchmarks/im2gps3k
    earthclip data check table.csv --images photos/ --decode
    """
)
@click.argument("dataset", metavar="DATASET")
@options.images()
@options.option("--decode", is_flag=True, help="Read every photo completely. This takes long.")
@options.output_format(type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format.")
def check(dataset: str, images: Path | None, decode: bool, format_: Literal["text", "json"]) -> int:
    """Report what is wrong with DATASET.

    Finds rows that differ in number from what was published, swapped columns, invalid coordinates, repeated ids,
    missing and repeated files, and photos that lack GPS, are cut short or have the wrong suffix. `earthclip data
    --help` lists the kinds of DATASET.

    The exit code is 0 if nothing was found, 1 if something was, and 2 if the data set cannot be used.
    """
    from earthclip.datasets.check import check as look
    from earthclip.files import home

    status = StatusLine()

    def show(what: str, done: int, of: int | None) -> None:
        status.show(f"{what} {done:,}" + (f" of {of:,}" if of else "") + " ...")

    report = look(dataset, images=images, decode=decode, cache=home() / SHARDS, progress=show)
    status.clear()
    click.echo(report.format(format_))
    return report.exit_code


@options.command(
    examples="""
    earthclip data split mp16:mp16/ --by place --seed 0 --out parts/
    earthclip data split table.csv --images photos/ --fraction 0.1 --out parts/
    earthclip data split yfcc4k:yfcc4k/ --by author --apart-from mp16:mp16/ -o p/
    """
)
@click.argument("dataset", metavar="DATASET")
@options.out_folder(help="Folder to write the tables to.")
@options.images()
@options.option(
    "--by",
    type=click.Choice(["place", "author", "random"]),
    default="place",
    show_default=True,
    help="What to keep together: all photos of a `place` or of an `author`, or nothing (`random`).",
)
@options.option(
    "--shares",
    default="0.8,0.1,0.1",
    show_default=True,
    metavar="NUMBERS",
    help="Sizes of the parts: train,validation,test, or train,test.",
)
@options.option(
    "--fraction",
    type=float,
    default=1.0,
    metavar="SHARE",
    help="Keep only this share of the training part. Smaller shares are subsets of larger ones.",
)
@options.option("--block-km", type=float, metavar="KM", help="Smallest width of a place. The default is 408.")
@options.option("--apart-from", metavar="DATASET", help="Leave out photos by authors who occur in this data set.")
@options.seed(help="Random seed for the split.")
@options.force(help="Replace existing tables.")
def split(
    dataset: str,
    images: Path | None,
    by: str,
    shares: str,
    block_km: float | None,
    apart_from: str | None,
    fraction: float,
    seed: int,
    out: Path,
    force: bool,
) -> None:
    """Split DATASET into parts for training, validation and test.

    Writes a table with the columns IMG_ID, LAT and LON for each part, and AUTHOR where the authors are known. The same
    options always give the same parts. `earthclip data --help` lists the kinds of DATASET.
    """
    from earthclip.datasets.opening import open_photos
    from earthclip.datasets.splits import author_split, blocked_split, random_split, without_authors_of, write_parts
    from earthclip.datasets.splits import fraction as share_of
    from earthclip.errors import InputError
    from earthclip.files import home

    if block_km is not None and by != "place":
        raise InputError(f"--block-km {block_km:g} works with --by place, found --by {by}; leave it out")
    try:
        numbers = [float(number) for number in shares.split(",")]
    except ValueError as error:
        raise InputError(f"--shares {shares}: expected numbers separated by commas, such as 0.8,0.1,0.1") from error
    names = _PARTS.get(len(numbers), tuple(f"part-{i}" for i in range(1, len(numbers) + 1)))
    cache = home() / SHARDS
    photos = open_photos(dataset, images=images, cache=cache)
    if photos.skipped:
        note(f"{photos.name}: {photos.skipped}")
    if apart_from is not None:
        kept = without_authors_of(photos, open_photos(apart_from, cache=cache))
        left_out = len(photos) - len(kept)
        note(f"{photos.name}: {left_out:,} of {len(photos):,} photos left out, by authors in {apart_from}")
        photos = photos.take(kept)
    if by == "place":
        parts = blocked_split(photos, numbers, seed, width_km=block_km)
    else:
        parts = (author_split if by == "author" else random_split)(photos, numbers, seed)
    if fraction != 1.0:
        parts[0] = parts[0][share_of(len(parts[0]), fraction, seed)]
    tables = {name: photos.take(part) for name, part in zip(names, parts, strict=True)}
    for path, table in zip(write_parts(tables, out, overwrite=force), tables.values(), strict=True):
        click.echo(f"{path}: {len(table):,} photos")
