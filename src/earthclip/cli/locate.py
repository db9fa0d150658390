"""``earthclip locate PICTURE...``: where pictures were taken or words are true, for people or programs to read."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli.status import libraries_muted
from earthclip.models import PRECISIONS, RUNTIMES, Precision, Runtime
from earthclip.pictures import VIEWS

# Spelled out, since importing outputs.FORMATS would make --help load numpy; a test holds the two together.
FORMATS = ("table", "json", "jsonl", "csv", "geojson", "kml", "geoparquet")
PRIORS = ("model", "land")  # likewise
ENGINES = ("local", "ray")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("pictures", metavar="PICTURE...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--list", "listed", type=click.Path(path_type=Path), metavar="FILE", help="Of paths, one a line; - stdin."
)
@click.option("--model", "source", metavar="SOURCE", help="orbit, geoclip, or the path of a model folder.")
@click.option("--text", metavar="WORDS", multiple=True, help="Words to locate, alone or with the pictures; repeatable.")
@click.option(
    "--text-weight", default=0.5, show_default=True, metavar="W", help="Of the words beside a picture, 0 to 1."
)
@click.option(
    "--views", type=click.Choice(VIEWS), default="none", show_default=True, help="Average over a photo's views."
)
@click.option("--top-k", default=5, show_default=True, metavar="K", help="How many places to name for each picture.")
@click.option("--region", multiple=True, metavar="WHERE", help="Answers lie there; repeatable: then in any of them.")
@click.option(
    "--prior", type=click.Choice(PRIORS), default="model", show_default=True, help="Before the picture is seen."
)
@click.option("--refine", is_flag=True, help="Also places between those of the model.")
@click.option("--min-confidence", default=0.0, metavar="P", help="Within 200 km, 0 to 1; below it, no answer.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not on the screen.")
@click.option("--resume", is_flag=True, help="Go on with the run to FILE that was ended.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option(
    "--map", "maps", type=click.Path(path_type=Path), multiple=True, metavar="FILE", help=".html, or .png of one."
)
@click.option("--write-sidecar", is_flag=True, help="The place as XMP beside each photo.")
@click.option("--privacy", is_flag=True, help="Tell what each photo gives away instead.")
@click.option("--strip-to", type=click.Path(path_type=Path), metavar="DIR", help="Copies without metadata, there.")
@click.option("--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True, help="What runs the model.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True, help="Of its numbers.")
@click.option("--workers", type=click.IntRange(0), metavar="N", help="Processes that read pictures; one for each core.")
@click.option("--no-draft", is_flag=True, help="Read large JPEGs whole: slower, other digits from the third on.")
@click.option(
    "--engine", type=click.Choice(ENGINES), default="local", show_default=True, help="ray: many machines, -o FOLDER."
)
@click.option("--embeddings", is_flag=True, help="With ray: the pictures' embeddings instead of places.")
@click.option("--column", metavar="NAME", help="With ray: of pictures or their paths, in Parquet tables.")
@click.option("--block-size", type=click.IntRange(1), metavar="N", help="With ray: pictures in a file of answers.")
@click.option("--worker-cpus", type=click.IntRange(1), metavar="N", help="With ray: processors for each of --workers.")
def locate(
    pictures: tuple[Path, ...],
    listed: Path | None,
    source: str | None,
    text: tuple[str, ...],
    text_weight: float,
    views: str,
    top_k: int,
    region: tuple[str, ...],
    prior: str,
    refine: bool,
    min_confidence: float,
    format_: str,
    output: Path | None,
    resume: bool,
    force: bool,
    maps: tuple[Path, ...],
    write_sidecar: bool,
    privacy: bool,
    strip_to: Path | None,
    runtime: Runtime,
    precision: Precision,
    workers: int | None,
    no_draft: bool,
    engine: str,
    embeddings: bool,
    column: str | None,
    block_size: int | None,
    worker_cpus: int | None,
) -> int:
    """Tell where pictures were taken, or words are true.

    PICTURE is a file, a folder, of which every picture is located, a pattern such as "photos/**/*.jpg", or - for
    paths on stdin. Places are latitude and longitude in degrees, best first. Without --model, geoclip answers where
    it is on this machine, else orbit. Words need a model that has a text encoder; beside pictures, their logits and
    the picture's are averaged.

    WHERE is a country by name or ISO code, "lat,lon,km", "south,west,north,east", or a file of areas (.geojson,
    .json; .gpkg and .shp with the extra geo). --prior land makes every part of the land as probable as any other of
    its size; the model's own prior is where its training pictures were taken.

    With -o, answers are kept in FILE.partial as they come; --resume goes on from there after a kill.

    With --engine ray, PICTURE is also an address such as s3://bucket/photos/, or a Parquet table with pictures or
    their paths in a column, and -o a folder or address: a Parquet file for each block of answers.

    \b
    earthclip locate photo.jpg
    earthclip locate photo.jpg --region Norway --map where.html
    earthclip locate --privacy photo.jpg --strip-to clean/
    earthclip locate --text "snow-capped volcano over a rice paddy"
    earthclip locate photo.jpg --text "in the Andes"
    earthclip locate photos/ --format geojson -o photos.geojson
    find photos -newer last.csv -print0 | earthclip locate - --format csv -o new.csv
    earthclip locate "s3://bucket/photos/*.jpg" --engine ray -o s3://bucket/places
    """
    if not pictures and not listed and not text:
        raise click.UsageError("give a PICTURE, or --text WORDS.")
    if resume and (output is None or not (pictures or listed)):
        raise click.UsageError("--resume needs -o FILE, the output of the run to go on with, and its pictures.")
    if (pictures or listed) and len(text) > 1:
        raise click.UsageError("beside pictures, give one --text.")
    _check_beside(bool(pictures or listed), output, format_, resume, maps, write_sidecar, privacy, strip_to)
    on_cluster = engine == "ray"
    of_files = bool(maps or write_sidecar or privacy or strip_to) or format_ != "table"
    _check_engine(on_cluster, bool(pictures or listed), of_files, embeddings or column or block_size or worker_cpus)
    if embeddings and (text or region or refine or min_confidence or prior != "model"):
        raise click.UsageError("--embeddings are of pictures alone; leave out --text and what chooses among places.")
    from earthclip.cli.locate_beside import Beside
    from earthclip.cli.locate_cluster import ClusterRun, locate_on_cluster, refuse_addresses
    from earthclip.cli.locate_run import Ask, Destination, locate_pictures, locate_texts, read_regions

    ask = Ask(
        source=source,
        runtime=runtime,
        precision=precision,
        top_k=top_k,
        views=views,
        texts=text,
        text_weight=text_weight,
        draft=not no_draft,
        region=read_regions(region),
        prior=prior,
        refine=refine,
        min_confidence=min_confidence,
    )
    if on_cluster:
        run = ClusterRun(output, resume, force, workers or None, worker_cpus, block_size, embeddings, column)
        with libraries_muted():
            return locate_on_cluster(ask, pictures, listed, run)
    refuse_addresses((*pictures, *([output] if output else [])))
    beside = Beside(maps, write_sidecar, format_ if privacy else None, strip_to, force)
    with libraries_muted():
        destination = Destination(output, format_, resume, force, beside)
        if pictures or listed:
            return locate_pictures(ask, pictures, listed, destination, workers)
        return locate_texts(ask, destination)


def _check_beside(
    of_pictures: bool,
    output: Path | None,
    format_: str,
    resume: bool,
    maps: tuple[Path, ...],
    write_sidecar: bool,
    privacy: bool,
    strip_to: Path | None,
) -> None:
    """Raise UsageError for what cannot be made together."""
    if not of_pictures and (write_sidecar or privacy or strip_to):
        raise click.UsageError("--write-sidecar, --privacy and --strip-to are about pictures; give a PICTURE.")
    if privacy and (output or format_ not in ("table", "jsonl")):
        raise click.UsageError("--privacy prints its reports, as text or with --format jsonl; leave -o out.")
    if maps and resume:
        raise click.UsageError("--map shows the answers of one run; leave --resume or --map out.")
    for path in maps:
        if path.suffix.lower() not in (".html", ".png"):
            raise click.UsageError(f"--map {path}: expected a name that ends in .html or .png.")


def _check_engine(on_cluster: bool, of_pictures: bool, of_files: bool, of_cluster: object) -> None:
    """Raise UsageError for what the engine does not make."""
    if not on_cluster and of_cluster:
        raise click.UsageError("--embeddings, --column, --block-size and --worker-cpus are for --engine ray.")
    if on_cluster and not of_pictures:
        raise click.UsageError("--engine ray is for pictures; words alone are quicker without it.")
    if on_cluster and of_files:
        raise click.UsageError(
            "--engine ray writes Parquet; leave out --format, --map, --write-sidecar, --privacy and --strip-to."
        )
