"""``earthclip index build``, ``add``, ``remove`` and ``info``: one's own photos with known places as a reference."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from earthclip.cli import options
from earthclip.cli.status import Pace, StatusLine, libraries_muted, note, say

if TYPE_CHECKING:
    from earthclip.models import Precision, Runtime

F = TypeVar("F", bound=Callable[..., Any])
_FAILURES_SHOWN = 3


def _source_options(function: F) -> F:
    """What ``build`` and ``add`` take."""
    for decorate in reversed(
        (
            click.argument("source", metavar="SOURCE"),
            options.out_folder(help="Folder of the index."),
            options.one_model("--model", "model"),
            options.images(),
            options.workers(advanced=True),
            options.runtime(),
            options.precision(),
        )
    ):
        function = decorate(function)
    return function


@options.command(
    examples="""
    earthclip index build photos/ -o my-photos
    earthclip index build table.csv --images photos/ -o my-photos --model geoclip
    earthclip index build photos/ -o my-photos --resume
    """
)
@_source_options
@options.resume(help="Continue an interrupted build, or mend a damaged index.")
@options.force(help="Replace the index in DIR when the new one is complete.")
def build(source: str, out: Path, resume: bool, force: bool, **rest: Any) -> int:
    """Make an index of photos whose places are known, as a reference for `earthclip locate --index DIR`.

    SOURCE is a folder of photos with GPS positions, a table, shards or a benchmark; `earthclip data --help` lists them
    all. Photos without a position, or at (0, 0), are left out and counted.

    The index holds the model's embeddings of the photos, their names and their places, but no pictures. It works with
    the model that made it. An interrupted build loses at most 256 photos.

    The exit code is 1 if some photos could not be read.
    """
    return _extend(source, out, resume=resume, force=force, **rest)


@options.command(
    examples="""
    earthclip index add photos/ -o my-photos
    earthclip index add more-photos/ -o my-photos
    """
)
@_source_options
def add(source: str, out: Path, **rest: Any) -> int:
    """Add the photos of SOURCE to an index. Only new and changed photos are encoded.

    A photo of the same SOURCE and name is changed if its bytes or its position are others than before. Photos that are
    gone stay in the index until `earthclip index remove --gone`.

    The exit code is 1 if some photos could not be read.
    """
    from earthclip.locating.index_files import read_about

    read_about(out)
    return _extend(source, out, resume=True, force=False, **rest)


@options.command(
    examples="""
    earthclip index remove my-photos holiday/IMG_0042.jpg
    earthclip index remove my-photos "holiday/*"
    earthclip index remove my-photos --gone
    """
)
@click.argument("folder", type=options.path_type(), metavar="DIR")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@options.option("--gone", is_flag=True, help="Remove the photos whose files are gone.")
def remove(folder: Path, names: tuple[str, ...], gone: bool) -> None:
    """Take photos out of an index.

    NAME is a photo's name in the index, its path, or a quoted pattern such as "holiday/*". The photos themselves are
    not touched.
    """
    from earthclip.locating.index_building import remove as take_out

    if not names and not gone:
        raise click.UsageError("give a NAME, or --gone.")
    removed = take_out(folder, names, gone=gone, searched=_told(status := StatusLine()))
    status.clear()
    click.echo(f"{folder}: {removed:,} photos removed")


@options.command(examples="earthclip index info my-photos")
@click.argument("folder", type=options.path_type(), metavar="DIR")
@options.output_format(type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format.")
def info(folder: Path, format_: str) -> None:
    """Describe an index: its model, its photos, and how much they count."""
    from earthclip.configuration import to_mapping
    from earthclip.locating.index_files import byte_counts, file_name
    from earthclip.locating.photo_index import open_index
    from earthclip.outputs.structured import dumps

    index = open_index(folder)
    shortcut = folder / file_name("search", index.about.generation)
    size = sum(byte_counts(index.about).values()) + (shortcut.stat().st_size if shortcut.exists() else 0)
    if format_ == "json":
        click.echo(dumps(to_mapping(index.about) | {"weights": to_mapping(index.weights), "bytes": size}))
        return
    weights, fitted = index.weights, index.about.weights is not None
    of = (
        f"fitted on {weights.measured.get('pictures', 'pictures')}" if fitted else "the default; nobody has fitted them"
    )
    click.echo(
        f"{folder}: {len(index):,} photos, {size / 1e6:,.1f} MB\n"
        f"model: {index.about.model} ({index.about.fingerprint[:12]})\n"
        f"search: {f'approximate, with {shortcut.name}' if index.is_approximate else 'exact'}\n"
        f"weights: {of}\n"
        f"  most that photos add to a score: {weights.weight:g} nats\n"
        f"  a photo counts from a similarity of {weights.least_similarity:g}"
        f"{', of whitened embeddings' if weights.whitened else ''}\n"
        f"  sharpness of the similarity: {weights.sharpness:g}\n"
        f"  distance over which a photo counts: {weights.width_km:g} km"
    )


def _told(status: StatusLine) -> Callable[[int, int], None]:
    return lambda done, n: status.show(f"making search fast: {done:,} of {n:,} photos")


def _extend(
    source: str,
    out: Path,
    *,
    model: str | None,
    images: Path | None,
    workers: int | None,
    runtime: Runtime,
    precision: Precision,
    resume: bool,
    force: bool,
) -> int:
    from earthclip import __version__
    from earthclip.cli.answering import ask_of, introduce, open_model
    from earthclip.cli.data import SHARDS
    from earthclip.configuration import usable_processors
    from earthclip.datasets.feature_store import refuse_features
    from earthclip.datasets.opening import open_photos
    from earthclip.errors import InputError
    from earthclip.files import home, staging_folder
    from earthclip.locating.index_building import build as begin
    from earthclip.locating.index_building import extend
    from earthclip.locating.index_files import ABOUT, put_in_place

    refuse_features(source)
    status = StatusLine()
    status.show("looking for photos ...")
    photos = open_photos(source, images=images, cache=home() / SHARDS)
    status.clear()
    if photos.skipped:
        note(f"{photos.name}: {photos.skipped}")
    ask = ask_of(model, runtime=runtime, precision=precision)
    locator = open_model(ask)
    introduce(locator.folder, ask)
    replaces = force and (out / ABOUT).exists()
    pace: Pace | None = None

    def show(done: int, n: int) -> None:
        nonlocal pace
        pace = pace or Pace(n)
        status.show(pace.text(done))

    path = Path(source)
    workers = usable_processors() if workers is None else workers
    name = str(path.resolve()) if path.exists() else source

    with libraries_muted(), staging_folder(out / "new") if replaces else nullcontext(out) as folder:
        begin(folder, locator, version=__version__, resume=resume or force)
        changes = extend(folder, photos, name, locator, workers=workers, progress=show, searched=_told(status))
        status.clear()
        if changes.failed and not changes.encoded + changes.unchanged:
            raise InputError(f"{source}: none of its photos can be read, such as {changes.failed[0].error}")
    if replaces:
        put_in_place(out, out / "new")
    if changes.lost:
        say(f"warning: {out}: {changes.lost:,} photos were cut short or damaged; encoded again where SOURCE has them")
    for failure in changes.failed[:_FAILURES_SHOWN]:
        say(f"error: {failure.error}")
    more = f" ({changes.changed:,} of them had changed)" if changes.changed else ""
    note(
        f"{out}: {changes.encoded:,} photos encoded{more}, {changes.unchanged:,} unchanged, {changes.repeated:,} with "
        f"the same bytes as another, {len(changes.failed):,} could not be read"
    )
    return 1 if changes.failed else 0
