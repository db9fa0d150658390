"""`earthclip data`: is a data set fit to train or measure on, and its parts to do so with."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from earthclip.cli.status import StatusLine, say

SHARDS = "shards"  # in the cache folder: what was read of shards
_PARTS = {2: ("train", "test"), 3: ("train", "validation", "test")}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def data() -> None:
    """Check and split sets of located photos.

    \b
    A DATASET is one of
    photos/                    a folder whose photos carry GPS positions
    table.csv, table.parquet   ids, latitudes, longitudes; photos in --images
    'shards/*.tar'             WebDataset; s3://bucket/{0000..0099}.tar too
    hf:NAME, hf:NAME@SPLIT     Hugging Face datasets
    mp16:DIR, im2gps:DIR, im2gps3k:DIR, yfcc4k:DIR, yfcc26k:DIR, gws15k:DIR,
    osv5m:DIR, osv5m:DIR@train: a benchmark as it is published
    """


@data.command()
@click.argument("dataset")
@click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="The folder of a table's photos.")
@click.option("--decode", is_flag=True, help="Read every photo to its last pixel, which takes long.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def check(dataset: str, images: Path | None, decode: bool, form: Literal["text", "json"]) -> int:
    """Report what is wrong with DATASET.

    Counts against those published, swapped columns, coordinates that are none, ids and files that are there twice or
    not at all, photos without GPS, cut short, or of another kind than their names say. Ends with 0 when nothing was
    found, 1 when something was, 2 when the data set cannot be used as it is.

    \b
    earthclip data check im2gps3k:benchmarks/im2gps3k
    earthclip data check table.csv --images photos/ --decode
    """
    from earthclip.datasets.check import check as look
    from earthclip.files import home

    status = StatusLine()

    def show(what: str, done: int, of: int | None) -> None:
        status.show(f"{what} {done:,}" + (f" of {of:,}" if of else "") + " ...")

    report = look(dataset, images=images, decode=decode, cache=home() / SHARDS, progress=show)
    status.clear()
    click.echo(report.format(form))
    return report.exit_code


@data.command()
@click.argument("dataset")
@click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="The folder of a table's photos.")
@click.option(
    "--by",
    type=click.Choice(["place", "author", "random"]),
    default="place",
    show_default=True,
    help="What is not to be in two parts: a block of the Earth, an author, or nothing but the photo.",
)
@click.option("--shares", default="0.8,0.1,0.1", show_default=True, metavar="NUMBERS", help="Of train,validation,test.")
@click.option("--block-km", type=float, metavar="KM", help="Least width of the blocks.  [default: 408]")
@click.option("--apart-from", metavar="DATASET", help="Leave out photographers who are in this one too.")
@click.option("--fraction", type=float, default=1.0, metavar="SHARE", help="Keep so much of train; 0.1 is part of 0.2.")
@click.option("--seed", default=0, show_default=True, help="Another number, another split.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="Where the tables go.")
@click.option("--force", is_flag=True, help="Replace tables that are there.")
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
    """Write tables (IMG_ID, LAT, LON and AUTHOR where known) of the parts of DATASET, the same ones every time.

    \b
    earthclip data split mp16:mp16/ --by place --seed 0 --out parts/
    earthclip data split yfcc4k:yfcc4k/ --by author --shares 0.5,0.5 \\
      --apart-from mp16:mp16/ --out parts/
    """
    from earthclip.datasets.opening import open_photos
    from earthclip.datasets.splits import author_split, blocked_split, random_split, without_authors_of, write_parts
    from earthclip.datasets.splits import fraction as share_of
    from earthclip.errors import InputError
    from earthclip.files import home

    if block_km is not None and by != "place":
        raise InputError(f"--block-km {block_km:g} is for --by place, not for --by {by}; leave it out")
    try:
        numbers = [float(number) for number in shares.split(",")]
    except ValueError as error:
        raise InputError(f"--shares {shares}: expected numbers with commas between them, as 0.8,0.1,0.1") from error
    names = _PARTS.get(len(numbers), tuple(f"part-{i}" for i in range(1, len(numbers) + 1)))
    cache = home() / SHARDS
    photos = open_photos(dataset, images=images, cache=cache)
    if photos.skipped:
        say(f"{photos.name}: {photos.skipped}")
    if apart_from is not None:
        kept = without_authors_of(photos, open_photos(apart_from, cache=cache))
        say(f"{photos.name}: {len(photos) - len(kept):,} of {len(photos):,} left out, by photographers of {apart_from}")
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
