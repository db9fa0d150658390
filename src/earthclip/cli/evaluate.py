"""``earthclip evaluate model`` and ``evaluate table``: how far off a model, or a table of predictions, is."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from earthclip.cli import options
from earthclip.cli.formats import format_of
from earthclip.cli.tree import RenamedError

if TYPE_CHECKING:
    from earthclip.cli.evaluate_run import Wanted
    from earthclip.evaluation.answers import Missing
    from earthclip.models import Precision, Runtime

F = TypeVar("F", bound=Callable[..., Any])
FORMATS = {"table": (), "markdown": (".md", ".markdown"), "json": (".json",), "html": (".html", ".htm")}
_BY_TABLE = "earthclip evaluate table PREDICTIONS TRUTH"


def renamed(arguments: list[str]) -> list[str]:
    """The arguments of ``evaluate --predictions P --truth T`` as those of ``evaluate table P T``.

    Raises UsageError when one of the two is missing, RenamedError for ``evaluate MODEL DATASET``.
    """
    tables: dict[str, str | None] = {"--predictions": None, "--truth": None}
    rest, left = [], iter(arguments)
    for argument in left:
        name, equals, value = argument.partition("=")
        if name in tables:
            tables[name] = value if equals else next(left, None)
        else:
            rest.append(argument)
    files = [file for file in tables.values() if file is not None]
    if len(files) == 2:
        return ["table", *files, *rest]
    if missing := [name for name, file in tables.items() if file is None and files]:
        raise click.UsageError(f"evaluate lacks {missing[0]}; type {_BY_TABLE}.")
    if difflib.get_close_matches(arguments[0], ("model", "table"), n=1):
        return arguments  # a misspelt name, for which the group has an answer
    raise RenamedError("'earthclip evaluate MODEL DATASET' is now 'earthclip evaluate model MODEL DATASET'")


def _leaderboard_known(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    if name is not None:
        from earthclip.evaluation.leaderboard import leaderboard

        leaderboard(name)
    return name


def report_options(function: F) -> F:
    """The options of a report, which both commands take."""
    for decorate in reversed(
        (
            options.option(
                "--leaderboard",
                is_flag=False,
                flag_value="auto",
                is_eager=True,  # before MODEL and DATASET, one of which a bare --leaderboard takes for its name
                callback=_leaderboard_known,
                metavar="[NAME]",
                help="Compare with published figures: im2gps3k, yfcc4k, yfcc26k, gws15k or osv5m. Put a bare "
                "--leaderboard at the end of the command.",
            ),
            options.option(
                "--group-by",
                metavar="COLUMN",
                help="Add intervals by the groups of this column, whose pictures are alike. The default is the "
                "authors, where they are known.",
            ),
            options.option(
                "--apart-from",
                metavar="TABLE",
                help="Leave out pictures by authors who are in TABLE, such as the training data. The report says how "
                "many.",
            ),
            options.output_format(
                type=click.Choice(list(FORMATS)),
                help="Output format: `table` for the main figures, the others for the whole report. The default "
                "follows the suffix of FILE, otherwise `table`.",
            ),
            options.output(help="Write to FILE.txt, FILE.md, FILE.json or FILE.html. `-` is standard output."),
            options.option("--plots", type=options.path_type(), metavar="DIR", help="Save the plots as PNG to DIR."),
            options.seed(type=click.IntRange(min=0), help="Random seed for the bootstrap intervals."),
            options.force(),
        )
    ):
        function = decorate(function)
    return function


@options.command(
    examples="""
    earthclip evaluate model geoclip photos.csv -o report.html
    earthclip evaluate model geoclip table.csv --images photos/ --against orbit
    earthclip evaluate model geoclip im2gps3k:DIR --views ten-crop --leaderboard
    earthclip evaluate model geoclip a.csv --index my-photos --against geoclip
    """,
    old={"--predictions": _BY_TABLE, "--truth": _BY_TABLE},
)
@click.argument("model", metavar="MODEL")
@click.argument("dataset", metavar="DATASET")
@options.images()
@options.views()
@options.option("--against", metavar="MODEL|FILE", help="Compare with this model or table, picture by picture.")
@report_options
@options.index(
    advanced=True,
    help="Use the photos of an index as references, too. The same photo and photos by the same author do not count. "
    "Repeatable.",
)
@options.runtime()
@options.precision()
def evaluate_model(
    model: str,
    dataset: str,
    images: Path | None,
    views: str,
    index: tuple[Path, ...],
    runtime: Runtime,
    precision: Precision,
    **report: Any,
) -> int:
    """Measure how far off MODEL is on the pictures of DATASET.

    Reports accuracy within 1, 25, 200, 750 and 2500 km, median and mean error, and GeoScore. The whole report
    (markdown, json, html) adds 95 % confidence intervals, figures by continent and country, and how well the
    probabilities hold.

    MODEL is auto, orbit, geoclip, or the path of a model folder, as in `earthclip locate --model`. DATASET is a table
    with columns such as filename, lat and lon, or anything that `earthclip data --help` lists, such
    as a folder of photos with GPS positions. html and --plots need the optional dependency `map`.

    The exit code is 1 if some pictures could not be read.
    """
    from earthclip.cli.evaluate_run import by_model

    return by_model(model, dataset, images, views, index, runtime, precision, _wanted(dataset, **report))


@options.command(
    examples="""
    earthclip evaluate table predictions.csv truth.csv
    earthclip evaluate table a.csv truth.csv --against b.csv -o report.json
    earthclip evaluate table im2gps3k.csv truth.csv --leaderboard im2gps3k
    """
)
@click.argument("predictions", type=options.path_type(), metavar="PREDICTIONS")
@click.argument("truth", type=options.path_type(), metavar="TRUTH")
@options.option("--against", metavar="FILE", help="Compare with this table, picture by picture.")
@options.option(
    "--missing",
    type=click.Choice(["error", "wrong", "skip"]),
    default="error",
    show_default=True,
    help="What to do with pictures that lack a prediction: stop, count them as wrong at every distance, or leave them "
    "out. The report says how many there are.",
)
@report_options
def evaluate_table(predictions: Path, truth: Path, missing: Missing, **report: Any) -> int:
    """Measure how far off the table PREDICTIONS of any system is from the table TRUTH.

    TRUTH is a CSV, TSV or Parquet table with a column of file names (filename, image or IMG_ID), one of latitudes
    (lat or latitude) and one of longitudes (lon, lng or longitude). PREDICTIONS has the same columns, or is CSV or
    JSON Lines written by `earthclip locate`. The figures are those of `earthclip evaluate model`.
    """
    from earthclip.cli.evaluate_run import by_tables

    return by_tables(predictions, truth, _wanted("", **report), missing)


def _wanted(
    dataset: str,
    *,
    against: str | None,
    leaderboard: str | None,
    group_by: str | None,
    apart_from: str | None,
    format_: str | None,
    output: Path | None,
    plots: Path | None,
    seed: int,
    force: bool,
) -> Wanted:
    from earthclip.cli.evaluate_run import Wanted
    from earthclip.evaluation.leaderboard import leaderboard as published

    form = format_of(output, format_, FORMATS, "table")
    board = None if leaderboard is None else published(leaderboard, dataset)
    file = None if output == Path("-") else output
    return Wanted(against, board, form, file, plots, seed, force, group_by, apart_from)
