"""What ``earthclip locate`` does: answers about pictures or texts, written where they were asked for."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import click

from earthclip.cli import INTERRUPTED
from earthclip.cli.answering import (
    BATCH_SIZES,
    Ask,
    Taker,
    Takers,
    Tally,
    answers_of,
    image_choices,
    introduce_to_pictures,
    open_model,
    pin,
)
from earthclip.cli.model_speed import measure_for
from earthclip.cli.status import Screen, note, say
from earthclip.errors import OutputError
from earthclip.files import refuse_unwritable
from earthclip.locating.prediction import Prediction
from earthclip.pictures.finding import check_list, count_pictures, each_picture
from earthclip.pictures.prepare import Failure

if TYPE_CHECKING:
    from earthclip.cli.library import Library
    from earthclip.locating.locator import Locator
    from earthclip.models.config import ModelConfig
    from earthclip.outputs import Writer
    from earthclip.outputs.journal import Journal


class Sidecars:
    """Writes the sidecars of answers, and counts those that could mislead and are left out unless ``every``."""

    def __init__(self, every: bool, force: bool) -> None:
        self._every, self._force = every, force
        self._written = 0
        self._objections: Counter[str] = Counter()

    def take(self, answer: Prediction | Failure) -> None:
        """Write one. Raises EarthCLIPError."""
        if isinstance(answer, Failure):
            return
        from earthclip.outputs.sidecar import objection, write_sidecar

        reason = objection(answer)
        if reason and (answer.abstained or not self._every):
            self._objections[reason] += 1
        else:
            write_sidecar(answer, overwrite=self._force)
            self._written += 1

    def sum_up(self) -> None:
        """Say how many were not written, and why."""
        if self._objections:
            reasons = "; ".join(f"{reason} ({count:,})" for reason, count in self._objections.items())
            advice = "" if self._every else "; --all-sidecars writes one for every answer that has a place"
            say(f"sidecars: {self._written:,} written, {self._objections.total():,} not: {reasons}{advice}")


@dataclass(frozen=True)
class Destination:
    """Where the answers go (``output`` None is stdout), and what is made beside them."""

    output: Path | None
    format: str
    resume: bool
    force: bool
    maps: tuple[Path, ...] = ()
    sidecars: Sidecars | None = None
    heat_maps: tuple[Path, ...] = ()
    heat_map_width: int = 0
    full_paths: bool = False

    @property
    def files(self) -> list[Path]:
        """Every file that is written under a name that was given, or under one made of it."""
        from earthclip.outputs.journal import partial_of

        answers = [self.output, partial_of(self.output)] if self.output else []
        return [*answers, *self.maps, *self.heat_maps]

    def check(self, arguments: tuple[Path, ...], listed: Path | None, texts: int) -> None:
        """Raise UsageError or EarthCLIPError for maps that cannot show this many answers, or cannot be written."""
        every = [*self.maps, *self.heat_maps]
        for path in every:
            if sum(path.absolute() == other.absolute() for other in every) > 1:
                raise click.UsageError(f"{path}: two maps have this name; give each map a name of its own.")
            refuse_unwritable(path)
        for path in self.heat_maps:
            if (count_pictures(arguments, listed) if arguments or listed else texts) != 1:
                raise click.UsageError("--heatmap shows one picture or text; give one, or run it for each.")
            from earthclip.outputs.heat_map import check_heat_map

            check_heat_map(path, self.heat_map_width, overwrite=self.force)
        for path in self.maps:
            if path.suffix.lower() == ".png":
                if (count_pictures(arguments, listed) if arguments or listed else texts) != 1:
                    raise click.UsageError("--map FILE.png shows one picture; --map FILE.html shows many.")
                from earthclip.outputs.map_png import check_map_png

                check_map_png(path, overwrite=self.force)
            else:
                from earthclip.outputs.html_map import check_html_map

                check_html_map(path, overwrite=self.force)

    @contextlib.contextmanager
    def journal(self, batch_size: int) -> Iterator[Journal | None]:
        """The output's journal; None for stdout. Raises OutputError before there is work for nothing."""
        from earthclip.outputs import check_format

        check_format(self.format, self.output)
        if self.output is None:
            yield None
            return
        if self.output.exists() and not self.output.is_file():  # --force would put a file in the place of a device
            device = "a device or pipe; leave -o out and redirect"
            found = "a folder; name a file in it" if self.output.is_dir() else device
            raise OutputError(f"{self.output}: expected a file to write, found {found}")
        from earthclip.outputs.journal import open_journal

        with open_journal(self.output, batch_size, resume=self.resume, force=self.force) as journal:
            try:
                yield journal
            except KeyboardInterrupt as error:
                if journal.kept:
                    say(f"interrupted: {journal.kept:,} answers are kept in {journal.path}; continue with --resume")
                raise click.exceptions.Exit(INTERRUPTED) from error

    def is_finished(self, ask: Ask, arguments: tuple[Path, ...], listed: Path | None, library: Library) -> bool:
        """Whether the run to resume is complete, which is said. Raises OutputError where another run is."""
        from earthclip.outputs.finished import check_finished
        from earthclip.outputs.journal import partial_of

        if self.output is None or not self.resume or self.force or partial_of(self.output).exists():
            return False
        if not self.output.is_file():
            return False
        question = ask.question
        asked: dict[str, object] = {"text": question.text, "top_k": question.top_k, "region": question.region}
        asked["model"] = [folder.config.name for folder in ask.model.folders()]
        left_out = library.has_position if library.only_missing else lambda path: False
        n = check_finished(self.output, self.format, asked, each_picture(arguments, listed), left_out)
        answers = "" if n is None else f": {n:,} answers"
        note(f"{self.output} is complete{answers}; nothing is left to do")
        return True

    @contextlib.contextmanager
    def beside(self, config: ModelConfig) -> Iterator[Takers]:
        """What makes maps and sidecars; files of many answers appear when the block ends well."""
        takers: list[Taker] = [self.sidecars.take] if self.sidecars else []
        with contextlib.ExitStack() as files:
            for path in self.maps:
                if path.suffix.lower() == ".png":
                    takers.append(partial(self._map, path))
                else:
                    from earthclip.outputs.html_map import open_html_map

                    page = open_html_map(path, caution=config.caution, overwrite=self.force, full_paths=self.full_paths)
                    takers.append(files.enter_context(page).write)
            takers += [partial(self._heat_map, path) for path in self.heat_maps]
            yield Takers(takers)
        if self.sidecars:
            self.sidecars.sum_up()

    def _heat_map(self, path: Path, answer: Prediction | Failure) -> None:
        if isinstance(answer, Prediction):
            from earthclip.outputs.heat_map import write_heat_map

            write_heat_map(answer, path, self.heat_map_width, overwrite=self.force)

    def _map(self, path: Path, answer: Prediction | Failure) -> None:
        if isinstance(answer, Prediction):
            from earthclip.outputs.map_png import write_map_png

            write_map_png(answer, path, overwrite=self.force, full_paths=self.full_paths)


def locate_pictures(
    ask: Ask,
    arguments: tuple[Path, ...],
    listed: Path | None,
    destination: Destination,
    workers: int | None,
    library: Library,
) -> int:
    """Locate pictures and write the answers; returns the exit code."""
    if listed:
        check_list(listed)
    destination.check(arguments, listed, 0)
    if destination.is_finished(ask, arguments, listed, library):
        return 0
    with destination.journal(BATCH_SIZES[ask.question.views]) as journal:
        locator = open_model(ask)
        total = count_pictures(arguments, listed) if sys.stderr.isatty() else None
        models = locator.asked(ask.question)
        if journal and (before := journal.before("image_encoder")):
            pin(models, before)
        else:
            measure_for(locator, lambda: count_pictures(arguments, listed) if total is None else total)
        if journal:
            absolute = listed is None and all(path.is_absolute() for path in arguments)  # from elsewhere, others
            folder = None if absolute else os.fspath(Path.cwd())
            _begin(journal, ask, models, {"image_encoder": image_choices(models), "folder": folder})
        with answers_of(ask, locator, arguments, listed, workers, journal, library) as answers:
            code = _write(answers, ask, locator, total, destination, journal)
    library.sum_up()
    return code


def locate_texts(ask: Ask, destination: Destination) -> int:
    """Locate texts and write the answers; returns the exit code."""
    destination.check((), None, len(ask.texts))
    with destination.journal(1) as journal:
        locator = open_model(ask)
        if journal:
            _begin(journal, ask, (locator,), {})
        return _write(locator.locate_text(ask.texts, ask.question), ask, locator, None, destination, journal)


def _begin(journal: Journal, ask: Ask, models: Sequence[Locator], more: dict[str, str | None]) -> None:
    from earthclip.outputs.journal import header

    journal.begin(header([model.config for model in models], {**ask.options, **more}))


def _warn_of_name(answer: Prediction | Failure) -> None:
    from earthclip.outputs.plan import UNNAMEABLE, is_nameable
    from earthclip.outputs.table import printable

    if not is_nameable(answer):
        say(f"warning: {printable(answer.path)}: {UNNAMEABLE}")


def _write(
    answers: Iterable[Prediction | Failure],
    ask: Ask,
    locator: Locator,
    total: int | None,
    destination: Destination,
    journal: Journal | None,
) -> int:
    """Write the answers as they come; returns the exit code."""
    from earthclip.outputs import WriterOptions, writer

    introduce_to_pictures(locator, ask, cautioned=journal is None and destination.format == "table")
    tally = Tally(journal.answered, journal.failed, journal.kept) if journal else Tally()
    on_screen = journal is None and sys.stdout.isatty()
    stdout = cast("TextIO", Screen(sys.stdout)) if on_screen else sys.stdout
    shown: WriterOptions = {
        "full_paths": destination.full_paths,
        "several_models": len(locator.asked(ask.question)) > 1,
    }
    out: Journal | Writer = journal or writer(destination.format, stdout, **shown)
    with destination.beside(locator.config) as beside:

        def take(answer: Prediction | Failure) -> None:
            out.write(answer)
            if destination.format == "plan":
                _warn_of_name(answer)
            beside.take(answer)

        tally.follow(answers, take, total, on_screen=on_screen)
    if journal is None:
        out.close()
    elif tally.answered or not tally.failed:
        journal.finish(destination.format, **shown)
    else:
        journal.discard()
    return tally.exit_code(beside.spoiled)
