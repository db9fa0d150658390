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
    earthclip model calibrate geoclip table.csv --index my-photos
    """
)
@click.argument("source", metavar="MODEL")
@click.argument("manifest", type=options.path_type(), metavar="MANIFEST")
@options.images(help="Folder of the pictures that MANIFEST names. The default is the folder of MANIFEST.")
@options.index(multiple=False, help="Calibrate how much the photos of this index count, instead of the model.")
@options.option("--dry-run", is_flag=True, help="Print the fit without changing anything.")
def calibrate(source: str, manifest: Path, images: Path | None, index: Path | None, dry_run: bool) -> None:
    """Calibrate a model's probabilities on pictures with known places.

    MANIFEST is a table with columns such as filename, lat and lon. Use 500 pictures or more, like those to be located.
    The model must not have been trained on them.

    Fits the temperature of the probabilities, and how much probability a region needs so that 50 % or 90 % of the
    regions contain the true place. Writes both into the model's config.json.

    With --index, fits by maximum likelihood how much the photos of the index add to the model's scores, and writes that
    into the index. Photos of MANIFEST that are in the index, too, or by the same author, do not count for themselves.
    If pictures held out gain no more than noise, the index is set not to be used.
    """
    if index is not None:
        _calibrate_index(source, manifest, images, index, dry_run)
        return
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


def _calibrate_index(source: str, manifest: Path, images: Path | None, folder: Path, dry_run: bool) -> None:
    from earthclip.configuration import usable_processors
    from earthclip.datasets.opening import open_photos
    from earthclip.evaluation.index_fit import asked_of, fit_index, format_index_fit
    from earthclip.evaluation.leave_out import LeaveOut
    from earthclip.locating.index_building import set_weights
    from earthclip.locating.locator import load
    from earthclip.locating.photo_index import open_index

    locator = load(source)
    photos = open_photos(str(manifest), images=images or manifest.parent, strict=True)
    status, index = StatusLine(), LeaveOut(open_index(folder), photos)
    asked = asked_of(
        locator,
        index,
        photos,
        lambda done, n: status.show(f"{done} of {n} pictures"),
        workers=usable_processors(),
    )
    status.clear()
    note(index.told)
    fitted = fit_index(locator, index, asked, f"{len(asked)} of {manifest.name}")
    click.echo(format_index_fit(fitted))
    if not dry_run:
        set_weights(folder, fitted.weights)
        note(f"wrote {folder / 'index.json'}")
