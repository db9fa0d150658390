"""``earthclip locate PICTURE...``: where pictures were taken or texts fit, for people or programs to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from earthclip.cli import options
from earthclip.cli.formats import FORMATS, format_of
from earthclip.cli.options import command, option
from earthclip.cli.status import libraries_muted


@command(
    examples="""
    earthclip locate photo.jpg
    earthclip locate photo.jpg --region Norway --map where.html
    earthclip locate photo.jpg --text "in the Andes" --model geoclip
    earthclip locate --text "snow-capped volcano" --model geoclip
    earthclip locate photos/ -o photos.geojson
    find photos -type f -newer last.csv -print0 | earthclip locate - -o new.csv
    """,
    old={
        "--privacy": "earthclip privacy check PICTURE...",
        "--strip-to": "earthclip privacy strip PICTURE... --out DIR",
        "--no-draft": "--full-size",
        "--engine": "earthclip cluster locate",
        "--embeddings": "earthclip cluster embed images",
        "--column": "earthclip cluster locate --column",
        "--block-size": "earthclip cluster locate --block-size",
        "--worker-cpus": "earthclip cluster locate --worker-cpus",
    },
)
@options.pictures()
@options.model()
@options.text()
@options.region()
@options.prior()
@options.top_k()
@options.min_confidence()
@options.output()
@options.output_format(type=click.Choice(FORMATS))
@option(
    "--map",
    "maps",
    type=options.path_type(),
    multiple=True,
    metavar="FILE",
    help="Save a map. FILE.html holds any number of pictures. FILE.png shows a single one. Repeatable.",
)
@options.resume()
@options.force()
@options.listed()
@options.text_weight()
@options.views(advanced=True)
@options.force_answer()
@options.refine()
@options.runtime()
@options.precision()
@options.workers(advanced=True)
@options.full_size()
@option(
    "--write-sidecar",
    is_flag=True,
    advanced=True,
    help="Write the best guess beside each picture as PICTURE.xmp, unless the picture has a position already or no "
    "region stands out. Pictures are not changed, nor sidecars of other programs.",
)
@option(
    "--all-sidecars",
    is_flag=True,
    advanced=True,
    help="Write sidecars where a picture has a position already or no region stands out, too.",
)
def locate(
    pictures: tuple[Path, ...],
    listed: Path | None,
    output: Path | None,
    format_: str | None,
    maps: tuple[Path, ...],
    resume: bool,
    force: bool,
    write_sidecar: bool,
    all_sidecars: bool,
    workers: int | None,
    **question: Any,
) -> int:
    """Guess where pictures were taken, or which places a description fits.

    PICTURE is a file, a folder, a quoted pattern such as "photos/**/*.jpg", or `-` for a list of paths on standard
    input. Places are latitude and longitude in degrees, best first.

    Default model: the one named in earthclip.toml, otherwise geoclip if you have pulled it, otherwise orbit. --text
    needs a model with a text encoder. With both a picture and --text, the two scores are averaged (see --text-weight).

    WHERE is a country by name or ISO code, "lat,lon,km", "south,west,north,east", or a file of areas (.geojson, .json;
    .gpkg and .shp need the optional dependency 'earthclip[geo]').

    While -o FILE is being written, finished pictures are kept in FILE.partial. Use --resume to continue from there.
    """
    if not pictures and not listed and not question["text"]:
        raise click.UsageError("give a PICTURE, or --text WORDS.")
    if resume and (output is None or not (pictures or listed)):
        raise click.UsageError("--resume needs -o FILE, the output of the interrupted run, and the same pictures.")
    if (pictures or listed) and len(question["text"]) > 1:
        raise click.UsageError("give only one --text together with pictures.")
    if write_sidecar and not (pictures or listed):
        raise click.UsageError("--write-sidecar is about pictures; give a PICTURE.")
    if all_sidecars and not write_sidecar:
        raise click.UsageError("--all-sidecars says which to write; add --write-sidecar.")
    if maps and resume:
        raise click.UsageError("--map shows the answers of one whole run; leave out --resume or --map.")
    for path in maps:
        if path.suffix.lower() not in (".html", ".png"):
            raise click.UsageError(f"--map {path}: expected a name that ends in .html or .png.")
    format_ = format_of(output, format_, FORMATS, "table")

    from earthclip.cli.answering import ask_of
    from earthclip.cli.locate_run import Destination, Sidecars, locate_pictures, locate_texts

    ask = ask_of(**question)
    sidecars = Sidecars(all_sidecars, force) if write_sidecar else None
    destination = Destination(output, format_, resume, force, maps, sidecars)
    with libraries_muted():
        if pictures or listed:
            return locate_pictures(ask, pictures, listed, destination, workers)
        return locate_texts(ask, destination)
