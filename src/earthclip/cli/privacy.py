"""``earthclip privacy check|strip``: what photos reveal, and copies of them without metadata."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earthclip.cli import options
from earthclip.cli.options import command
from earthclip.cli.status import libraries_muted, note, say
from earthclip.models import Precision, Runtime
from earthclip.pictures import REENCODINGS, Reencoding

if TYPE_CHECKING:
    from earthclip.locating.prediction import Prediction
    from earthclip.pictures.prepare import Failure


@command(
    examples="""
    earthclip privacy check photo.jpg
    earthclip privacy check photos/ --format jsonl
    """
)
@options.pictures()
@options.model()
@options.output_format(
    type=click.Choice(["table", "jsonl"]),
    default="table",
    show_default=True,
    help="Form of the reports: text to read, or one JSON object a line.",
)
@options.listed()
@options.runtime()
@options.precision()
@options.workers(advanced=True)
def check(
    pictures: tuple[Path, ...],
    source: str | None,
    format_: str,
    listed: Path | None,
    runtime: Runtime,
    precision: Precision,
    workers: int | None,
) -> int:
    """Report what each photo reveals: its metadata, and where its pixels say it was taken.

    PICTURE is a file, a folder, a quoted pattern such as "photos/**/*.jpg", or `-` for a list of paths on standard
    input. The reports go to standard output. Nothing is changed and nothing leaves this machine.
    """
    if not pictures and not listed:
        raise click.UsageError("give a PICTURE.")
    from earthclip.cli.answering import Takers, Tally, answers_of, ask_of, introduce_to_pictures, open_model
    from earthclip.pictures.finding import check_list, count_pictures

    if listed:
        check_list(listed)
    ask = ask_of(source, runtime=runtime, precision=precision, several=True)
    reports = Takers([lambda answer: _report(answer, format_)])
    tally = Tally()
    with libraries_muted():
        locator = open_model(ask)
        total = count_pictures(pictures, listed) if sys.stderr.isatty() else None
        with answers_of(ask, locator, pictures, listed, workers) as answers:
            introduce_to_pictures(locator, ask)
            tally.follow(answers, reports.take, total, on_screen=sys.stdout.isatty())
    return tally.exit_code(reports.spoiled)


@command(
    examples="""
    earthclip privacy strip photo.jpg --out clean/
    earthclip privacy strip photo.jpg -o clean.jpg
    earthclip privacy strip photos/ --out clean/ --reencode jpeg --force
    """
)
@options.pictures()
@options.out_folder("--out", required=False, metavar="DIR", help="Folder to write the copies to.")
@options.option("-o", "file", type=options.path_type(), metavar="FILE", help="Write the copy of one photo to FILE.")
@options.option(
    "--reencode",
    type=click.Choice(REENCODINGS),
    help="Write what is seen of each photo as a new PNG or JPEG: 8 bits, sRGB, the first picture only.",
)
@options.force()
@options.listed()
def strip(
    pictures: tuple[Path, ...],
    out: Path | None,
    file: Path | None,
    reencode: Reencoding | None,
    force: bool,
    listed: Path | None,
) -> int:
    """Write copies of photos without metadata.

    PICTURE is a file, a folder, a quoted pattern such as "photos/**/*.jpg", or `-` for a list of paths on standard
    input. Each copy has the name of its photo and exactly the same pixels; the photos of a folder keep their
    subfolders. HEIC, AVIF and BMP are copied as PNG. A photo that would lose more than metadata is not copied, unless
    --reencode is given. The originals are not changed.
    """
    if not pictures and not listed:
        raise click.UsageError("give a PICTURE.")
    if (out is None) == (file is None):
        raise click.UsageError("give either a folder (--out DIR) or, for one photo, a file (-o FILE).")
    if file and (listed or len(pictures) > 1 or pictures[0].is_dir()):
        raise click.UsageError("-o FILE takes one photo; use --out DIR for several.")
    from earthclip.cli.answering import found_pictures
    from earthclip.errors import EarthCLIPError, InputError
    from earthclip.outputs.privacy import check_strip_folder, strip_file, strip_to
    from earthclip.pictures.finding import check_list
    from earthclip.pictures.prepare import Failure

    if listed:
        check_list(listed)
    if out:
        check_strip_folder(out)
    copies: set[Path] = set()
    failed = 0
    with libraries_muted():
        for picture in found_pictures(pictures, listed):
            try:
                if isinstance(picture, Failure):
                    raise InputError(picture.error)
                if file:
                    copy = strip_file(picture, file, reencode=reencode, overwrite=force and not copies)
                else:
                    folder = (out or Path()) / _folder_within(picture, pictures)
                    copy = strip_to(picture, folder, reencode=reencode, overwrite=force, taken=copies)
                copies.add(copy.path)
                note(f"without metadata: {copy.path}{''.join(f'; {text}' for text in copy.notes)}")
            except EarthCLIPError as error:
                say(f"error: {error}")
                failed += 1
    return 2 if failed and not copies else 1 if failed else 0


def _folder_within(picture: Path, arguments: tuple[Path, ...]) -> Path:
    """The folders between an argument and a picture in it, with the name of the argument where there are several."""
    for argument in arguments:
        fixed = list(itertools.takewhile(lambda part: not set(part) & set("*?["), argument.parts))
        top = Path(*fixed)
        if argument != picture and picture.is_relative_to(top):
            inside = picture.parent.relative_to(top)
            return inside if len(arguments) == 1 else Path(top.name, inside)
    return Path()


def _report(answer: Prediction | Failure, format: str) -> None:
    if answer.path is None:
        return
    from earthclip.outputs.privacy import examine
    from earthclip.outputs.structured import dumps
    from earthclip.outputs.table import line_width, wrapped

    report = examine(answer.path, answer)
    if format == "jsonl":
        text = dumps(report.to_object())
    else:
        name, *lines = report.lines()
        width, indent = line_width(sys.stdout), " " * 16
        text = "\n".join([name, *(part for line in lines for part in wrapped(line, width, "", indent))])
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)
