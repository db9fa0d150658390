"""`earthclip evaluate`: how far off a model, or a table of predictions, is on a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

_BY_MODEL = "earthclip evaluate MODEL MANIFEST --images DIR"
_BY_TABLE = "earthclip evaluate --predictions P.csv --truth T.csv"


@click.command()
@click.argument("model", required=False)
@click.argument("manifest", required=False, type=click.Path(path_type=Path))
@click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the manifest's pictures.")
@click.option("--predictions", type=click.Path(path_type=Path), metavar="CSV", help="Answers of any model.")
@click.option("--truth", type=click.Path(path_type=Path), metavar="CSV", help="The true places of the same pictures.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def evaluate(
    model: str | None,
    manifest: Path | None,
    images: Path | None,
    predictions: Path | None,
    truth: Path | None,
    form: Literal["table", "json"],
) -> None:
    """Report accuracy within 1, 25, 200, 750 and 2500 km, median and mean error, and GeoScore.

    Either of a MODEL on the pictures of a MANIFEST (a CSV with the columns IMG_ID, LAT, LON), found in the folder
    --images by their IMG_ID; or of a CSV of --predictions against one of the --truth, matched by IMG_ID.
    """
    from earthclip.errors import InputError
    from earthclip.evaluation.report import evaluate_model, evaluate_predictions, format_report

    by_model = {"MODEL": model, "MANIFEST": manifest, "--images": images}
    by_table = {"--predictions": predictions, "--truth": truth}
    given = [[name for name, value in way.items() if value is not None] for way in (by_model, by_table)]
    if all(given) or not any(given):
        found = f"found {given[0][0]} with {given[1][0]}" if all(given) else "found neither"
        raise InputError(f"evaluate takes a model or a table of predictions, {found}; type {_BY_MODEL}, or {_BY_TABLE}")

    if predictions is not None and truth is not None:
        report = evaluate_predictions(predictions, truth)
    elif model is not None and manifest is not None and images is not None:
        from earthclip.locator import load

        report = evaluate_model(load(model), manifest, images)
    else:
        way, usage = (by_model, _BY_MODEL) if given[0] else (by_table, _BY_TABLE)
        missing = ", ".join(name for name, value in way.items() if value is None)
        raise InputError(f"evaluate lacks {missing}; type {usage}")
    click.echo(format_report(report, form))
