"""``earthclip locate PICTURE...``: where pictures were taken or words are true, for people or programs to read."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli.status import libraries_muted
from earthclip.runtime.choice import PRECISIONS, RUNTIMES, VIEWS, Precision, Runtime

# Spelled out, since importing outputs.FORMATS would make --help load numpy; a test holds the two together.
FORMATS = ("table", "json", "jsonl", "csv", "geojson")


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
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not on the screen.")
@click.option("--resume", is_flag=True, help="Go on with the run to FILE that was ended.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True, help="What runs the model.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True, help="Of its numbers.")
@click.option("--workers", type=click.IntRange(0), metavar="N", help="Processes that read pictures; one for each core.")
@click.option("--no-draft", is_flag=True, help="Read large JPEGs whole: slower, other digits from the third on.")
def locate(
    pictures: tuple[Path, ...],
    listed: Path | None,
    source: str | None,
    text: tuple[str, ...],
    text_weight: float,
    views: str,
    top_k: int,
    format_: str,
    output: Path | None,
    resume: bool,
    force: bool,
    runtime: Runtime,
    precision: Precision,
    workers: int | None,
    no_draft: bool,
) -> int:
    """Tell where pictures were taken, or words are true.

    PICTURE is a file, a folder, of which every picture is located, a pattern such as "photos/**/*.jpg", or - for
    paths on stdin. Places are latitude and longitude in degrees, best first. Without --model, geoclip answers where
    it is on this machine, else orbit. Words need a model that has a text encoder; beside pictures, their logits and
    the picture's are averaged.

    With -o, answers are kept in FILE.partial as they come; --resume goes on from there after a kill.

    \b
    earthclip locate photo.jpg
    earthclip locate --text "snow-capped volcano over a rice paddy"
    earthclip locate photo.jpg --text "in the Andes"
    earthclip locate photos/ --format geojson -o photos.geojson
    find photos -newer last.csv -print0 | earthclip locate - --format csv -o new.csv
    """
    if not pictures and not listed and not text:
        raise click.UsageError("give a PICTURE, or --text WORDS.")
    if resume and (output is None or not (pictures or listed)):
        raise click.UsageError("--resume needs -o FILE, the output of the run to go on with, and its pictures.")
    if (pictures or listed) and len(text) > 1:
        raise click.UsageError("beside pictures, give one --text.")
    from earthclip.cli.locate_run import Ask, Destination, locate_pictures, locate_texts

    ask = Ask(source, runtime, precision, top_k, views, text, text_weight, draft=not no_draft)
    with libraries_muted():
        destination = Destination(output, format_, resume, force)
        if pictures or listed:
            return locate_pictures(ask, pictures, listed, destination, workers)
        return locate_texts(ask, destination)
