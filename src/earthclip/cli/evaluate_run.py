"""The work of ``earthclip evaluate``: predictions of a model or a table, measured, and the report written."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from earthclip.cli.status import Pace, StatusLine, note, say
from earthclip.datasets.photos import PhotoSet, StoredPhotos
from earthclip.datasets.rows import Places, read_places
from earthclip.errors import InputError
from earthclip.evaluation.answers import SUFFIXES, Missing, answers_for
from earthclip.evaluation.document import Picture, comparison_section, document, leaderboard_section
from earthclip.evaluation.grouping import Grouping, apart_from, grouping_of
from earthclip.evaluation.leaderboard import Leaderboard
from earthclip.evaluation.leave_out import LeaveOut
from earthclip.evaluation.measured import Evaluation, evaluate
from earthclip.evaluation.rendering import open_markdown, to_html, to_markdown, to_text
from earthclip.evaluation.report import format_evaluation
from earthclip.files import atomic_write, refuse_existing, refuse_inputs
from earthclip.locating.photo_index import open_index
from earthclip.outputs.structured import dumps
from earthclip.pictures.finding import known_pictures

if TYPE_CHECKING:
    from earthclip.evaluation.located import Located
    from earthclip.locating.locator import Locator
    from earthclip.models import Precision, Runtime

_PICTURES = ("error_curve", "error_map", "calibration")
_FAILURES_SHOWN = 3


@dataclass(frozen=True)
class Wanted:
    """What is to be reported, in which format ("table", "markdown", "json", "html"), and where to."""

    against: str | None
    leaderboard: Leaderboard | None
    form: str
    output: Path | None
    plots: Path | None
    seed: int
    force: bool
    group_by: str | None = None
    apart_from: str | None = None

    def check(self, inputs: Iterable[Path]) -> None:
        """Raise what would otherwise fail at the end, before the work; no output may be one of ``inputs``."""
        pictures = [] if self.plots is None else [self.plots / f"{name}.png" for name in _PICTURES]
        tables = [Path(table) for table in (self.against, self.apart_from) if table and Path(table).suffix]
        refuse_inputs([*pictures, *filter(None, [self.output])], itertools.chain(tables, inputs))
        if self.form == "html" or self.plots is not None:
            from earthclip.evaluation.plots import check_plots

            check_plots()
        if self.form == "html":
            open_markdown()
        for picture in pictures if not self.force else ():
            refuse_existing(picture)
        if self.output is not None and not self.force:
            refuse_existing(self.output)

    def kept(self, truth: Places | PhotoSet) -> tuple[np.ndarray, list[str]]:
        """The rows [m] of ``truth`` that are not left out for their authors, and what was left out."""
        if self.apart_from is None:
            return np.arange(len(truth)), []
        rows, note = apart_from(truth, self.apart_from)
        return rows, [note]

    def grouping(self, truth: Places | PhotoSet, source: str, rows: np.ndarray) -> Grouping | None:
        """The groups that intervals are by; said where they cannot be."""
        found = grouping_of(truth, self.group_by, source, rows)
        if found is None and any(truth.authors or []):
            say("warning: all pictures are by one author, so that the intervals hold for no other")
        return found


def by_tables(predictions: Path, truth_path: Path, wanted: Wanted, missing: Missing = "error") -> int:
    """Measure a table of predictions; returns the exit code. For ``missing`` predictions, see ``answers_for``."""
    wanted.check([predictions, truth_path])
    truth = read_places(truth_path)
    answers = answers_for(truth, predictions, missing)
    rows, notes = wanted.kept(truth)
    name, other, kept = predictions.name, None, answers.kept & np.isin(np.arange(len(truth)), rows)
    notes.append(answers.note)
    if wanted.against is not None:
        second = Path(wanted.against)
        elsewhere = answers_for(truth, second, missing)
        kept = kept & elsewhere.kept
        name, other_name = (name, second.name) if name != second.name else (str(predictions), wanted.against)
        other = (other_name, elsewhere.places[kept])
        notes.append(elsewhere.note)
    evaluation = evaluate(
        name,
        truth.name,
        truth.coordinates[kept],
        answers.places[kept],
        other=other,
        leaderboard=wanted.leaderboard,
        grouping=wanted.grouping(truth, str(truth_path), np.flatnonzero(kept)),
        left_out=[note for note in notes if note],
        seed=wanted.seed,
    )
    _write(evaluation, wanted)
    return 0


def by_model(
    model: str,
    dataset: str,
    images: Path | None,
    views: str,
    index: tuple[Path, ...],
    runtime: Runtime,
    precision: Precision,
    wanted: Wanted,
) -> int:
    """Measure a model, with the photos of each ``index``; returns the exit code, 1 when pictures could not be read."""
    wanted.check(itertools.chain(known_pictures([Path(dataset), *filter(None, [images])]), index))
    photos = _photos(dataset, images)
    rows, left_out = wanted.kept(photos)
    other_table = wanted.against if wanted.against and Path(wanted.against).suffix.lower() in SUFFIXES else None
    elsewhere = None if other_table is None else answers_for(photos, Path(other_table)).places[rows]
    photos = photos.take(rows)
    second_model = wanted.against if other_table is None else None
    locators = [_load(name, views, runtime, precision) for name in (model, second_model) if name is not None]
    references = [LeaveOut(open_index(folder), photos) for folder in index]
    found = _locate(locators[0], photos, views, references)
    others = [_locate(locator, photos, views) for locator in locators[1:]]
    rows, other = found.rows, None
    left_out += [one.told for one in references]
    if photos.skipped:
        left_out.append(f"of {photos.name}, {photos.skipped}")
    failed = {failure.path or "" for failure in found.failures}
    if elsewhere is not None and other_table is not None:
        other = (Path(other_table).name, elsewhere[rows])
    for second in others:
        rows = np.intersect1d(rows, second.rows)
        name = second.name if second.name != found.name else str(wanted.against)
        other = (name, second.places[np.isin(second.rows, rows)])
    if len(rows) < len(photos):
        example = f", e.g. {sorted(failed)[0]}" if any(failed) else ""
        left_out.append(f"{len(photos) - len(rows):,} of {len(photos):,} pictures could not be read{example}")
    kept = np.isin(found.rows, rows)
    evaluation = evaluate(
        found.name,
        photos.name,
        photos.coordinates[rows],
        found.places[kept],
        outcomes=found.outcomes if kept.all() else None,
        other=other,
        leaderboard=wanted.leaderboard,
        grouping=wanted.grouping(photos, dataset, rows),
        left_out=left_out,
        views=views,
        seed=wanted.seed,
    )
    _write(evaluation, wanted)
    return 1 if len(rows) < len(photos) else 0


def _photos(dataset: str, images: Path | None) -> StoredPhotos:
    from earthclip.cli.data import SHARDS
    from earthclip.datasets.opening import open_photos
    from earthclip.files import home

    return open_photos(dataset, images=images, cache=home() / SHARDS, strict=True)


def _load(model: str, views: str, runtime: Runtime, precision: Precision) -> Locator:
    from earthclip.cli.answering import ask_of, open_model

    locator = open_model(ask_of(model, runtime=runtime, precision=precision, several=True))
    if views not in locator.config.views:
        known = ", ".join(locator.config.views)
        raise InputError(f"model '{locator.config.name}' works with --views {known}, found '{views}'")
    return locator


def _locate(locator: Locator, photos: PhotoSet, views: str, index: Sequence[LeaveOut] = ()) -> Located:
    from earthclip.configuration import usable_processors
    from earthclip.evaluation.located import locate_photos
    from earthclip.locating.question import Question
    from earthclip.models.sources import label_of

    models = locator.asked(Question(views=views, index=index))
    label = label_of(model.name for model in models)
    note(f"model: {label}")
    for caution in filter(None, (model.config.caution for model in models)):
        say(f"caution: {caution}")
    status, pace = StatusLine(), Pace(len(photos))
    found = locate_photos(
        locator,
        photos,
        views=views,
        index=index,
        workers=usable_processors(),
        also=locator.also(models),
        label=label,
        progress=lambda done, _: status.show(pace.text(done)) if status.active else None,
    )
    status.clear()
    for failure in found.failures[:_FAILURES_SHOWN]:
        say(f"error: {failure.error}")
    if len(found.failures) > _FAILURES_SHOWN:
        say(f"and {len(found.failures) - _FAILURES_SHOWN:,} more pictures that could not be read")
    return found


def _write(evaluation: Evaluation, wanted: Wanted) -> None:
    for warning in evaluation.warnings:
        say(f"warning: {warning}")
    pictures: list[Picture] = []
    if wanted.form == "html" or wanted.plots is not None:
        from earthclip.evaluation.plots import draw

        pictures = draw(evaluation)
    if wanted.plots is not None:
        wanted.plots.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            with atomic_write(wanted.plots / f"{picture.name}.png", overwrite=wanted.force) as file:
                file.write(picture.png)
    text = _text(evaluation, pictures, wanted)
    if wanted.output is None:
        click.echo(text)
        return
    with atomic_write(wanted.output, overwrite=wanted.force) as file:
        file.write(f"{text}\n".encode("utf-8", "replace"))


def _text(evaluation: Evaluation, pictures: list[Picture], wanted: Wanted) -> str:
    if wanted.form == "json":
        return dumps(evaluation.to_object())
    if wanted.form == "html":
        from earthclip.geo.places import ATTRIBUTION

        return to_html(document(evaluation, pictures), ATTRIBUTION).rstrip("\n")
    if wanted.form == "markdown":
        links = {} if wanted.plots is None else {picture.name: _link(picture, wanted) for picture in pictures}
        return to_markdown(document(evaluation, pictures), links).rstrip("\n")
    by = evaluation.grouping.column if evaluation.grouping else None
    sections = [comparison_section(evaluation.comparison, by)] if evaluation.comparison else []
    sections += [leaderboard_section(evaluation.leaderboard, evaluation)] if evaluation.leaderboard else []
    return "\n\n".join([format_evaluation(evaluation), *map(to_text, sections)])


def _link(picture: Picture, wanted: Wanted) -> str:
    assert wanted.plots is not None
    start = wanted.output.parent if wanted.output is not None else Path()
    relative = os.path.relpath(wanted.plots / f"{picture.name}.png", start)
    return Path(relative).as_posix().replace("<", "%3C").replace(">", "%3E")
