"""``earthclip model calibrate MODEL MANIFEST``: probabilities that hold what they promise."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli import options
from earthclip.cli.status import StatusLine, note


@options.command(
    examples="""
    earthclip model calibrate geoclip photos/manifest.csv
    earthclip model calibrate geoclip table.csv --images photos/ --dry-run
    """
)
@click.argument("source", metavar="MODEL")
@click.argument("manifest", type=options.path_type(), metavar="MANIFEST")
@options.images(help="Folder of the pictures that MANIFEST names. The default is the folder of MANIFEST.")
@options.option("--dry-run", is_flag=True, help="Print the fit without changing the model.")
def calibrate(source: str, manifest: Path, images: Path | None, dry_run: bool) -> None:
    """Calibrate a model's probabilities on pictures with known places.

    MANIFEST is a CSV table with the columns IMG_ID, LAT and LON. Use 500 pictures or more, like those to be located.
    The model must not have been trained on them.

    Fits the temperature of the probabilities, and how much probability a region needs so that 50 % or 90 % of the
    regions contain the true place. Writes both into the model's config.json.
    """
    from earthclip.configuration import usable_processors
    from earthclip.evaluation.calibration import evidence_of, fit, format_fit, write_calibration
    from earthclip.locating.locator import load

    locator = load(source)
    status = StatusLine()
    evidence = evidence_of(
        locator,
        manifest,
        images or manifest.parent,
        lambda done, n: status.show(f"{done} of {n} pictures"),
        workers=usable_processors(),
    )
    status.clear()
    fitted = fit(evidence, f"{len(evidence)} of {manifest.name}")
    click.echo(format_fit(fitted))
    if not dry_run:
        write_calibration(locator.folder, fitted)
        note(f"wrote {locator.folder.path / 'config.json'}")
