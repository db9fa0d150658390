"""``earthclip locate PICTURE...``: where pictures were taken or words are true, for people or programs to read."""

from __future__ import annotations

import contextlib
import io
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from earthclip.cli.status import StatusLine, libraries_muted, say
from earthclip.errors import OutputError
from earthclip.files import atomic_write, refuse_existing

if TYPE_CHECKING:
    from earthclip.locator import Locator
    from earthclip.models.config import ModelConfig
    from earthclip.prediction import Failure, Prediction

# Spelled out, since importing outputs.FORMATS would make --help load numpy; a test holds the two together.
FORMATS = ("table", "json", "jsonl", "csv", "geojson")
VIEWS = ("none", "flip", "ten-crop")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("pictures", metavar="PICTURE...", nargs=-1, type=click.Path(path_type=Path))
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
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def locate(
    pictures: tuple[Path, ...],
    source: str | None,
    text: tuple[str, ...],
    text_weight: float,
    views: str,
    top_k: int,
    format_: str,
    output: Path | None,
    force: bool,
) -> int:
    """Tell where pictures were taken, or words are true.

    PICTURE is a file, or a folder, of which every picture is located. Places are latitude and longitude in degrees,
    best first. Without --model, geoclip answers where it is on this machine, else orbit. Words need a model that has
    a text encoder; beside pictures, their logits and the picture's are averaged.

    \b
    earthclip locate photo.jpg
    earthclip locate --text "snow-capped volcano over a rice paddy"
    earthclip locate photo.jpg --text "in the Andes"
    earthclip locate photos/ --format geojson -o photos.geojson
    """
    if not pictures and not text:
        raise click.UsageError("give a PICTURE, or --text WORDS.")
    if pictures and len(text) > 1:
        raise click.UsageError("beside pictures, give one --text.")
    # Before the imports below, which take longer than to see that the answer would have no place to go.
    with _open(output, force) as stream, libraries_muted():
        status = StatusLine()
        locator = _load(source, status)
        if pictures:
            words = text[0] if text else None
            answers, n = _locate(locator, pictures, top_k, views=views, text=words, text_weight=text_weight)
        else:
            answers, n = iter(locator.locate_text(text, top_k)), len(text)
        answered, failed = _write(answers, n, locator.config, format_, stream, status)
        if not answered:
            raise click.exceptions.Exit(2)  # and leaves no FILE behind
    return 1 if failed else 0


def _load(source: str | None, status: StatusLine) -> Locator:
    from earthclip.locator import load
    from earthclip.models.sources import default_source

    return load(
        source or default_source(), lambda done, n: status.show(f"encoding {n:,} places, once: {100 * done // n} %")
    )


def _locate(
    locator: Locator, arguments: tuple[Path, ...], top_k: int, *, views: str, text: str | None, text_weight: float
) -> tuple[Iterator[Prediction | Failure], int]:
    """The answers as they come, and how many there will be."""
    from earthclip.cli.pictures import find_pictures

    files, failures = find_pictures(arguments)
    answers = locator.locate(files, top_k, on_error="yield", views=views, text=text, text_weight=text_weight)
    return itertools.chain(failures, answers), len(files) + len(failures)


def _write(
    answers: Iterator[Prediction | Failure],
    n: int,
    config: ModelConfig,
    format_: str,
    stream: TextIO,
    status: StatusLine,
) -> tuple[int, int]:
    """Write the answers to ``stream``; returns how many were answered and how many failed."""
    from earthclip.outputs import writer
    from earthclip.prediction import Failure

    _introduce(config)
    out = writer(format_, stream)
    answered = failed = 0
    for answer in answers:
        status.clear()
        out.write(answer)
        if isinstance(answer, Failure):
            failed += 1
            say(f"error: {answer.error}")
        else:
            answered += 1
        if stream is not sys.stdout or not stream.isatty():
            status.show(f"{answered + failed:,} of {n:,}")
    status.clear()
    out.close()
    return answered, failed


def _introduce(config: ModelConfig) -> None:
    say(f"model: {config.name}")
    if config.caution:
        say(f"caution: {config.caution}")


@contextlib.contextmanager
def _open(output: Path | None, force: bool) -> Iterator[TextIO]:
    """stdout, or a UTF-8 text file that appears as ``output`` when the block ends well."""
    if output is None:
        yield sys.stdout
        return
    if output.exists() and not output.is_file():  # --force would put a file in the place of a device
        found = "a folder; name a file in it" if output.is_dir() else "a device or pipe; leave -o out and redirect"
        raise OutputError(f"{output}: expected a file to write, found {found}")
    if not force:
        refuse_existing(output)
    with atomic_write(output, overwrite=force) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
        yield text
        text.flush()
        text.detach()
