"""``earthclip locate PICTURE...``: where pictures were taken or texts fit, for people or programs to read."""

from __future__ import annotations

from itertools import chain
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
@option(
    "--heatmap",
    "heat_maps",
    type=options.path_type(),
    multiple=True,
    metavar="FILE",
    advanced=True,
    help="Save the probability of one picture or text everywhere on Earth. FILE.tif is a GeoTIFF, FILE.png a picture. "
    "Repeatable.",
)
@options.resume()
@options.force()
@options.listed()
@options.text_weight()
@options.views(advanced=True)
@options.force_answer()
@options.refine()
@options.index(advanced=True)
@options.runtime()
@options.precision()
@options.workers(advanced=True)
@options.full_size()
@option(
    "--only-missing",
    is_flag=True,
    advanced=True,
    help="Leave out pictures that have a position in their metadata or in an XMP sidecar.",
)
@option(
    "--near-in-time",
    "near_h",
    type=float,
    metavar="HOURS",
    advanced=True,
    help="Use the positions of photos in the same folders that were taken at most HOURS before or after.",
)
@option(
    "--track",
    "tracks",
    type=options.path_type(),
    multiple=True,
    metavar="FILE",
    advanced=True,
    help="Use the positions of a track with times (.gpx, .kml, .geojson). Repeat to use several tracks.",
)
@option(
    "--clock-offset",
    "clock_offsets",
    multiple=True,
    metavar="OFFSET",
    advanced=True,
    help="State how far cameras' clocks are ahead of UTC, such as +02:00, where photos do not say their time zone. "
    "CAMERA=+03:00 corrects the clock of cameras whose name holds CAMERA. Repeatable.",
)
@option(
    "--heatmap-width",
    type=int,
    show_default="4000",
    metavar="N",
    advanced=True,
    help="Width of the heat map in pixels. It is half as high.",
)
@option(
    "--full-paths",
    is_flag=True,
    advanced=True,
    help="Put full paths into maps, GeoJSON, KML and GeoPackage. The default is the names of files.",
)
@option(
    "--write-sidecar",
    is_flag=True,
    advanced=True,
    help="Write the best guess into an XMP sidecar beside each picture, unless the picture has a position already or "
    "no region stands out. Pictures are not changed. A sidecar that exists keeps all its other properties.",
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
    heat_maps: tuple[Path, ...],
    heatmap_width: int | None,
    full_paths: bool,
    resume: bool,
    force: bool,
    only_missing: bool,
    near_h: float | None,
    tracks: tuple[Path, ...],
    clock_offsets: tuple[str, ...],
    write_sidecar: bool,
    all_sidecars: bool,
    workers: int | None,
    **question: Any,
) -> int:
    """Guess where pictures were taken, or which places a description fits.

    PICTURE is a file, a folder, a quoted pattern such as "photos/**/*.jpg", or `-` for a list of paths on standard
    input. Places are latitude and longitude in degrees, best first.

    Default model: the one named in earthclip.toml, otherwise auto. Each answer names its model. --text needs a model
    with a text encoder. With both a picture and --text, the two scores are averaged (see --text-weight).

    WHERE is a country (Norway, NO), a part of one (Texas), a continent, "lat,lon,km", "south,west,north,east", or a
    file of areas (.geojson, .json; .gpkg and .shp need the optional dependency 'earthclip[geo]').

    While -o FILE is being written, finished pictures are kept in FILE.partial. Use --resume to continue from there.
    """
    if not pictures and not listed and not question["text"]:
        raise click.UsageError("give a PICTURE, or --text WORDS.")
    if resume and (output is None or not (pictures or listed)):
        raise click.UsageError("--resume needs -o FILE, the output of the interrupted run, and the same pictures.")
    if (pictures or listed) and len(question["text"]) > 1:
        raise click.UsageError("give only one --text together with pictures.")
    for name, given in (
        *(("--write-sidecar", write_sidecar), ("--only-missing", only_missing)),
        *(("--near-in-time", near_h is not None), ("--track", tracks)),
    ):
        if given and not (pictures or listed):
            raise click.UsageError(f"{name} is about pictures; give a PICTURE.")
    if near_h is not None and not 0 < near_h <= 1000:
        raise click.UsageError("--near-in-time: expected more than 0 and at most 1000 hours.")
    if clock_offsets and near_h is None and not tracks:
        raise click.UsageError("--clock-offset is about times; add --track or --near-in-time.")
    if all_sidecars and not write_sidecar:
        raise click.UsageError("--all-sidecars says which to write; add --write-sidecar.")
    if heatmap_width is not None and not heat_maps:
        raise click.UsageError("--heatmap-width is about a heat map; add --heatmap FILE.")
    if (maps or heat_maps) and resume:
        raise click.UsageError("maps show the answers of one whole run; leave out --resume, or --map and --heatmap.")
    for path in maps:
        if path.suffix.lower() not in (".html", ".png"):
            raise click.UsageError(f"--map {path}: expected a name that ends in .html or .png.")
    for path in heat_maps:
        if path.suffix.lower() not in (".tif", ".tiff", ".png"):
            raise click.UsageError(f"--heatmap {path}: expected a name that ends in .tif or .png.")
    format_ = format_of(output, format_, FORMATS, "table")

    from earthclip.cli.answering import ask_of
    from earthclip.cli.library import Library, parse_clock_offset
    from earthclip.cli.locate_run import Destination, Sidecars, locate_pictures, locate_texts
    from earthclip.files import refuse_inputs
    from earthclip.pictures.finding import known_pictures

    library = Library(only_missing, near_h, tracks, tuple(map(parse_clock_offset, clock_offsets)))
    sidecars = Sidecars(all_sidecars, force) if write_sidecar else None
    width = 4000 if heatmap_width is None else heatmap_width
    destination = Destination(output, format_, resume, force, maps, sidecars, heat_maps, width, full_paths)
    regions = (Path(region) for region in question["region"] if Path(region).suffix)
    refuse_inputs(destination.files, chain(known_pictures(pictures, listed), tracks, regions, question["index"]))
    ask = ask_of(**question, several=True, whereabouts=library if library.tells_times else None)
    with libraries_muted():
        if pictures or listed:
            library.open(pictures, listed)
            return locate_pictures(ask, pictures, listed, destination, workers, library)
        return locate_texts(ask, destination)
