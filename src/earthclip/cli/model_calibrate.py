"""``earthclip model calibrate MODEL MANIFEST... --out DIR``: probabilities that hold what they promise."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli import options
from earthclip.cli.status import StatusLine, note, say


@options.command(
    examples="""
    earthclip model calibrate geoclip photos/manifest.csv --out models/mine
    earthclip model calibrate geoclip a/t.csv b/t.csv --by camera --dry-run
    earthclip model calibrate geoclip table.csv --index my-photos
    """
)
@click.argument("source", metavar="MODEL")
@click.argument("manifests", type=options.path_type(), metavar="MANIFEST...", nargs=-1, required=True)
@options.out_folder(required=False, help="New folder for the calibrated copy of the model. Not needed for --dry-run.")
@options.images(help="Folder of the pictures that each MANIFEST names. The default is the folder of MANIFEST.")
@options.index(multiple=False, help="Calibrate how much the photos of this index count, instead of the model.")
@options.option(
    "--by", metavar="COLUMN", help="Report the regions by the values of this column too, such as a kind of picture."
)
@options.option("--dry-run", is_flag=True, help="Print the fit without writing a model.")
@options.force(help="Replace the model in an existing folder.")
def calibrate(
    source: str,
    manifests: tuple[Path, ...],
    out: Path | None,
    images: Path | None,
    index: Path | None,
    by: str | None,
    dry_run: bool,
    force: bool,
) -> None:
    """Calibrate a model's probabilities on pictures with known places.

    MANIFEST is a table with columns such as filename, lat and lon. Use 500 pictures or more, like those to be located,
    from several sources. The model must not have been trained on them.

    Fits the temperature of the probabilities, and how much probability a region needs so that 50 % or 90 % of the
    regions contain the true place. From 500 pictures on, this depends on how sure the model is of a picture. Prints
    what was promised and held before and after, on pictures that were not fitted on, and writes a copy of the model to
    DIR. A fit that makes the regions worse is refused.

    With --index, fits by maximum likelihood how much the photos of the index add to the model's scores, and writes that
    into the index. Photos of MANIFEST that are in the index, too, or by the same author, do not count for themselves.
    If pictures held out gain no more than noise, the index is set not to be used.
    """
    if index is not None:
        if len(manifests) > 1 or by is not None or out is not None:
            raise click.UsageError("--index takes one MANIFEST, and neither --by nor --out: the fit is in the index.")
        _calibrate_index(source, manifests[0], images, index, dry_run)
        return
    from earthclip.configuration import usable_processors
    from earthclip.datasets.rows import read_column, read_places
    from earthclip.errors import InputError
    from earthclip.evaluation.calibration import evidence_of
    from earthclip.evaluation.fitting import by_group, fit, ranges, summary
    from earthclip.evaluation.grouping import numbered
    from earthclip.files import refuse_existing
    from earthclip.locating.locator import load
    from earthclip.models.config import CONFIG
    from earthclip.models.release import calibrated_copy

    if out is None and not dry_run:
        raise InputError("give the folder for the calibrated model with --out DIR, or --dry-run to print the fit only")
    locator = load(source)
    if out is not None and out.resolve() == locator.folder.path.resolve():
        raise InputError(f"{out}: is the folder of the model itself; choose a new one for the calibrated copy")
    if out is not None and not force:
        refuse_existing(out / CONFIG)
    tables = [(read_places(path), images or path.parent) for path in manifests]
    labels = {}
    # The folder tells tables of one name apart; the whole path is nobody's business but the user's.
    names = [f"{path.resolve().parent.name}/{path.name}" if len(tables) > 1 else path.name for path in manifests]
    if len(tables) > 1:
        labels["manifest"] = [name for name, (table, _) in zip(names, tables, strict=True) for _ in table.ids]
    if by is not None:
        columns = [(read_column(path, by), table) for path, (table, _) in zip(manifests, tables, strict=True)]
        labels[by] = ranges([found[name] for found, table in columns for name in table.ids], by)
    groups = None
    if all(table.authors is not None and any(table.authors) for table, _ in tables):
        groups = numbered([author for table, _ in tables for author in table.authors or []])
        if groups.max() == 0:
            say("warning: all pictures are by one author, so that the figures hold for no other")
            groups = None
    status = StatusLine()
    evidence = evidence_of(
        locator, tables, lambda done, n: status.show(f"{done} of {n} pictures"), workers=usable_processors()
    )
    status.clear()
    used = " and ".join(f"{len(table)} of {name}" for name, (table, _) in zip(names, tables, strict=True))
    config = locator.config
    fitted = fit(evidence, used, config.temperature, config.calibration, groups)
    click.echo(summary(fitted, labels))
    if fitted.is_worse:
        before, after = (100 * miss for miss in fitted.misses)
        raise InputError(
            f"not written: the fit makes the regions worse, {after:.1f} % off their promise on pictures that were not "
            f"fitted on, {before:.1f} % before; give more pictures, like those to be located"
        )
    if out is not None and not dry_run:
        calibration = fitted.calibration
        for column, values in labels.items():
            calibration.measured[f"by {column}"] = by_group(fitted, values)
        calibrated_copy(locator.folder, out, fitted.temperature, calibration)
        note(f"wrote {out}")


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
