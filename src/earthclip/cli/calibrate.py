"""``earthclip calibrate MODEL MANIFEST``: make a model's probabilities mean what they say."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli.status import StatusLine


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="MODEL")
@click.argument("manifest", type=click.Path(path_type=Path), metavar="MANIFEST")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the pictures that MANIFEST names.  [default: the one MANIFEST is in]",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
def calibrate(source: str, manifest: Path, images: Path | None, dry_run: bool) -> None:
    """Fit a model's probabilities on pictures whose places are known, and write the fit into its config.json.

    MANIFEST is a CSV with the columns IMG_ID, LAT and LON: pictures like those to be located, but none the model was
    trained on; 500 or more. What is fitted: the temperature that makes the true places most probable, and how much of
    the probability a region must hold so that 50 and 90 % of the truths lie in it.

    \b
    earthclip calibrate geoclip photos/manifest.csv
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
        click.echo(f"wrote {locator.folder.path / 'config.json'}", err=True)
