"""`earthclip evaluate`: how far off a model, or a table of answers, is on pictures whose places are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from earthclip.cli.evaluate_run import Format

_BY_MODEL = "earthclip evaluate MODEL DATASET"
_BY_TABLE = "earthclip evaluate --predictions P.csv --truth T.csv"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", required=False)
@click.argument("dataset", required=False)
@click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="Folder of a table's pictures.")
@click.option("--views", type=click.Choice(["none", "flip", "ten-crop"]), default="none", show_default=True)
@click.option("--predictions", type=click.Path(path_type=Path), metavar="FILE", help="Answers of any system.")
@click.option("--truth", type=click.Path(path_type=Path), metavar="CSV", help="The true places of the same pictures.")
@click.option(
    "--against", metavar="MODEL|FILE", help="Compare with this model's or table's answers, picture by picture."
)
@click.option(
    "--leaderboard",
    is_flag=False,
    flag_value="auto",
    metavar="[NAME]",
    help="Set it beside published figures: im2gps3k, yfcc26k or gws15k.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "markdown", "json", "html"]),
    default="table",
    show_default=True,
    help="The figures alone, or the whole report.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not to stdout.")
@click.option("--plots", type=click.Path(path_type=Path), metavar="DIR", help="Write the pictures as PNG there.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
def evaluate(
    model: str | None,
    dataset: str | None,
    images: Path | None,
    views: str,
    predictions: Path | None,
    truth: Path | None,
    against: str | None,
    leaderboard: str | None,
    form: Format,
    output: Path | None,
    plots: Path | None,
    seed: int,
    force: bool,
) -> int:
    """Report accuracy within 1, 25, 200, 750 and 2500 km, median and mean error, and GeoScore.

    Either of a MODEL on a DATASET: a CSV with the columns IMG_ID, LAT, LON, whose pictures are found by their IMG_ID in
    the folder --images, or whatever `earthclip data` reads, such as im2gps3k:DIR or a folder of photos with GPS. Or of
    a table of --predictions against one of the --truth: with the same columns, or as `earthclip locate` writes CSV
    and JSON Lines.

    The whole report (markdown, json, html) has 95 % intervals, figures by continent and country and, of models, how
    well probabilities hold; html has pictures (extra: map). Ends with 1 when some pictures could not be read.

    \b
    earthclip evaluate geoclip im2gps3k:DIR --views ten-crop --leaderboard
    earthclip evaluate geoclip photos.csv --format html -o report.html
    earthclip evaluate --predictions a.csv --truth t.csv --against b.csv
    """
    from earthclip.cli.evaluate_run import Wanted, by_model, by_tables
    from earthclip.errors import InputError
    from earthclip.evaluation.comparison import leaderboard as published

    of_model = {"MODEL": model, "DATASET": dataset, "--images": images, "--views": None if views == "none" else views}
    of_tables = {"--predictions": predictions, "--truth": truth}
    given = [[name for name, value in way.items() if value is not None] for way in (of_model, of_tables)]
    if all(given) or not any(given):
        found = f"found {given[0][0]} with {given[1][0]}" if all(given) else "found neither"
        raise InputError(f"evaluate takes a model or a table of predictions, {found}; type {_BY_MODEL}, or {_BY_TABLE}")
    board = None if leaderboard is None else published(leaderboard, dataset or "")
    wanted = Wanted(against, board, form, output, plots, seed, force)
    if predictions is not None and truth is not None:
        return by_tables(predictions, truth, wanted)
    if model is not None and dataset is not None:
        return by_model(model, dataset, images, views, wanted)
    needed, usage = (("MODEL", "DATASET"), _BY_MODEL) if given[0] else (tuple(of_tables), _BY_TABLE)
    missing = ", ".join(name for name in needed if (of_model | of_tables)[name] is None)
    raise InputError(f"evaluate lacks {missing}; type {usage}")
