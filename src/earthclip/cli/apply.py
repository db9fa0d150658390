"""``earthclip apply PLAN``: write the positions of a plan that were accepted, or take them out again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earthclip.cli import options
from earthclip.cli.options import command, option
from earthclip.cli.status import StatusLine, note, say

if TYPE_CHECKING:
    from earthclip.outputs.plan import PlannedRow


@command(
    examples="""
    earthclip locate photos/ --only-missing --format plan -o plan.csv
    earthclip apply plan.csv --dry-run
    earthclip apply plan.csv
    earthclip apply plan.csv --undo
    """
)
@click.argument("plan", type=options.path_type())
@option(
    "--to",
    type=click.Choice(["sidecar", "exiftool"]),
    default="sidecar",
    show_default=True,
    help="Where positions are written: XMP sidecars beside the photos, or the photos' own EXIF by ExifTool.",
)
@option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@option("--undo", is_flag=True, help="Take out the positions that were written, from sidecars and photos.")
@options.force(help="Write a position also where the photo has a measured one.")
def apply(plan: Path, to: str, dry_run: bool, undo: bool, force: bool) -> int:
    """Write the positions of a plan whose column accept says yes.

    PLAN is the CSV that `earthclip locate --format plan` writes. Its paths are those that locate was given, so run both
    in the same folder. A sidecar that exists keeps everything else that it holds. Run the command again to complete an
    interrupted run.

    --undo goes through all rows and takes out what EarthCLIP wrote, and nothing else.
    """
    from earthclip.outputs.plan import read_plan

    rows = read_plan(plan)
    if not dry_run:
        _remove_left({row.photo for row in rows})
    return _Run(to, dry_run, force).through(rows, undo)


class _Run:
    """Goes through the rows, and counts what became of them."""

    def __init__(self, to: str, dry_run: bool, force: bool) -> None:
        self._to, self._dry_run, self._force = to, dry_run, force

    def through(self, rows: list[PlannedRow], undo: bool) -> int:
        """Do every row; returns the exit code."""
        from earthclip.errors import EarthCLIPError, visible
        from earthclip.outputs.table import printable
        from earthclip.pictures.finding import check_picture

        act: Callable[[PlannedRow], str] = self._taken_out if undo else self._written
        counts: Counter[str] = Counter()
        failed, status = 0, StatusLine()
        for number, row in enumerate(rows, start=1):
            try:
                check_picture(row.photo)
                outcome = act(row)
            except EarthCLIPError as error:
                status.clear()
                say(f"error: {error}")
                failed += 1
                continue
            counts[outcome] += 1
            if self._dry_run and outcome in _SHOWN:
                where = self._position(row) if outcome == "written" else ""
                print(f"{self._said(outcome)}: {visible(printable(str(row.photo)))}{where}", flush=True)
            status.show(f"{number:,} of {len(rows):,}")
        status.clear()
        found = [
            f"{counts[outcome]:,} {self._said(outcome)}{meaning}"
            for outcome, meaning in _OUTCOMES.items()
            if counts[outcome]
        ]
        found += [f"{failed:,} failed"] if failed else []
        done = "nothing was changed, " if self._dry_run else ""
        note(f"{done}{plan_words(len(rows))}: {'; '.join(found) or 'nothing'}")
        return 0 if not failed else 2 if failed == len(rows) else 1

    def _written(self, row: PlannedRow) -> str:
        if not row.accepted or row.estimate is None:
            return "not accepted"
        from earthclip.outputs.photo_exif import put_exif
        from earthclip.outputs.sidecar import put
        from earthclip.pictures.capture import capture_of

        capture = capture_of(row.photo)
        if capture.position is not None and not capture.estimated and not self._force:
            return "left alone"
        write = put_exif if self._to == "exiftool" else put
        return "written" if write(row.photo, row.estimate, dry_run=self._dry_run) else "there already"

    def _taken_out(self, row: PlannedRow) -> str:
        if row.estimate is None:
            return "without an estimate"
        from earthclip.outputs.photo_exif import take_out_exif
        from earthclip.outputs.sidecar import take_out

        position = row.estimate.latitude, row.estimate.longitude
        outcomes = {take_out(row.photo, position, dry_run=self._dry_run)}
        if row.photo.exists():
            outcomes.add(take_out_exif(row.photo, row.estimate, dry_run=self._dry_run))
        return next(
            (outcome for outcome in ("changed", "kept", "restored") if outcome in outcomes), "without an estimate"
        )

    def _said(self, outcome: str) -> str:
        return f"would be {outcome}" if self._dry_run and outcome in ("written", "restored", "kept") else outcome

    def _position(self, row: PlannedRow) -> str:
        return "" if row.estimate is None else f" at {row.estimate.latitude:.6f}, {row.estimate.longitude:.6f}"


_OUTCOMES = {
    "written": "",
    "there already": "",
    "not accepted": "",
    "left alone": " (the photo has a measured position; --force writes there too)",
    "restored": " as before",
    "kept": " (taken out of a file that was changed since; its backup .before-earthclip stays)",
    "changed": " (the position is another now, and was left)",
    "without an estimate": "",
}
_SHOWN = ("written", "restored", "kept", "changed")


def plan_words(rows: int) -> str:
    """The rows of a plan in words."""
    return "1 photo" if rows == 1 else f"{rows:,} photos"


def _remove_left(photos: set[Path]) -> None:
    """Remove what a killed run has left beside the files that it wrote."""
    from earthclip.files import remove_left
    from earthclip.outputs.sidecar import backup_path, sidecar_path

    folders = {photo.parent for photo in photos}
    touched = {folder for folder in folders if folder.is_dir() and any(folder.glob(".*.part"))}
    for photo in photos:
        if photo.parent in touched:
            path = sidecar_path(photo)
            for file in (path, backup_path(path), photo, backup_path(photo)):
                remove_left(file)
