"""What ``earthclip locate`` does: pictures through reading, encoding and writing, one batch at a time."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earthclip.cli import INTERRUPTED
from earthclip.cli.locate_beside import Beside
from earthclip.cli.pictures import check_list, count_pictures, each_picture
from earthclip.cli.status import Pace, StatusLine, duration, say
from earthclip.errors import OutputError
from earthclip.models import Precision, Runtime
from earthclip.pictures.prepare import Failure

if TYPE_CHECKING:
    from earthclip.geo.regions import Region
    from earthclip.locating.locator import Locator
    from earthclip.locating.prediction import Prediction
    from earthclip.models.config import ModelConfig
    from earthclip.outputs.journal import Journal
    from earthclip.pictures.prepare import Prepared

# Pictures in a batch, so that it has about as many views whatever they are: ten crops take ten times the memory.
BATCH_SIZES = {"none": 16, "flip": 8, "ten-crop": 2}


@dataclass(frozen=True)
class Ask:
    """What is asked of which model."""

    source: str | None
    runtime: Runtime
    precision: Precision
    top_k: int
    views: str
    texts: tuple[str, ...]
    text_weight: float
    draft: bool
    region: Region | None
    prior: str
    refine: bool
    min_confidence: float

    @property
    def options(self) -> dict[str, object]:
        """What decides the answers, beside the model and the pictures."""
        words = {"text": self.texts[0], "text_weight": self.text_weight} if self.texts else {}
        how = {"runtime": self.runtime, "precision": self.precision, "draft": self.draft}
        where = {"region": f"{self.region.name} ({self.region.fingerprint})"} if self.region else {}
        return {**self.terms, **where, "views": self.views, **words, **how}

    @property
    def terms(self) -> dict[str, Any]:
        """What ``Locator.locate`` and ``locate_text`` take, by its name there."""
        names = ("top_k", "region", "prior", "refine", "min_confidence")
        return {name: getattr(self, name) for name in names}


def read_regions(texts: tuple[str, ...]) -> Region | None:
    """The union of what ``--region`` was given; None where it was not. Raises InputError, MissingExtraError."""
    if not texts:
        return None
    from earthclip.geo.regions import parse_regions

    return parse_regions(texts)


@dataclass(frozen=True)
class Destination:
    """Where the answers go; ``output`` None is stdout."""

    output: Path | None
    format: str
    resume: bool
    force: bool
    beside: Beside

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
                    say(f"interrupted: {journal.kept:,} answers are kept in {journal.path}, --resume goes on")
                raise click.exceptions.Exit(INTERRUPTED) from error


def locate_pictures(
    ask: Ask, arguments: tuple[Path, ...], listed: Path | None, destination: Destination, workers: int | None
) -> int:
    """Locate pictures and write the answers; returns the exit code."""
    if listed:
        check_list(listed)
    batch_size = BATCH_SIZES[ask.views]
    beside = destination.beside
    beside.check(count_pictures(arguments, listed) if beside.wants_one_picture else None)
    with destination.journal(batch_size) as journal:
        status = StatusLine()
        locator = _load(ask, status, journal)
        pictures: Iterator[Path | Failure] = each_picture(arguments, listed)
        if journal:
            pictures = journal.unanswered(pictures)
        total = count_pictures(arguments, listed) if status.active else None
        with contextlib.closing(_read(locator, pictures, ask, batch_size, workers)) as prepared:
            answers = locator.locate(
                prepared,
                batch_size=batch_size,
                on_error="yield",
                views=ask.views,
                text=ask.texts[0] if ask.texts else None,
                text_weight=ask.text_weight,
                **ask.terms,
            )
            return _write(answers, locator.config, total, destination, journal, status)


def locate_texts(ask: Ask, destination: Destination) -> int:
    """Locate words and write the answers; returns the exit code."""
    destination.beside.check(len(ask.texts))
    with destination.journal(1) as journal:
        status = StatusLine()
        locator = _load(ask, status, journal)
        answers = locator.locate_text(ask.texts, **ask.terms)
        return _write(answers, locator.config, None, destination, journal, status)


def _load(ask: Ask, status: StatusLine, journal: Journal | None) -> Locator:
    from earthclip.locating.locator import load
    from earthclip.models.sources import default_source

    def encoded(done: int, n: int) -> None:
        status.show(f"encoding {n:,} places, once: {100 * done // n} %")

    source = ask.source or default_source()
    locator = load(source, encoded, runtime=ask.runtime, precision=ask.precision)
    if journal:
        from earthclip.outputs.journal import header

        journal.begin(header(locator.config, ask.options))
    return locator


def _read(
    locator: Locator, pictures: Iterator[Path | Failure], ask: Ask, batch_size: int, workers: int | None
) -> Generator[Prepared | Failure, None, None]:
    from earthclip.configuration import usable_processors
    from earthclip.pictures.reader import Reader

    workers = usable_processors() if workers is None else workers
    with Reader(locator.folder.preprocessing, ask.views, workers=workers, draft=ask.draft) as reader:
        yield from reader.read_ahead(pictures, batch_size + 2 * workers)  # the next batch while this one is encoded


def _write(
    answers: Iterable[Prediction | Failure],
    config: ModelConfig,
    total: int | None,
    destination: Destination,
    journal: Journal | None,
    status: StatusLine,
) -> int:
    """Write the answers as they come, with progress and what failed on stderr; returns the exit code."""
    from earthclip.outputs import writer
    from earthclip.pictures.reader import FEW

    _introduce(config)
    before = journal.kept if journal else 0
    answered, failed = (journal.answered, journal.failed) if journal else (0, 0)
    beside = destination.beside
    out = journal or (None if beside.reports else writer(destination.format, sys.stdout))
    on_terminal = journal is None and sys.stdout.isatty()
    began, pace = time.monotonic(), Pace(total, before)
    with beside.open(config) as making:
        for answer in answers:
            if on_terminal:
                status.clear()
            if out:
                out.write(answer)
            if isinstance(answer, Failure):
                failed += 1
                status.clear()
                say(f"error: {answer.error}")
            else:
                answered += 1
            making.take(answer)
            if status.active and not on_terminal:
                status.show(pace.text(answered + failed))
    status.clear()
    if journal is None:
        if out:
            out.close()
    elif answered:
        journal.finish(destination.format)
    else:
        journal.discard()
    if answered + failed > FEW:
        _sum_up(answered, failed, before, time.monotonic() - began)
    return 2 if not answered else 1 if failed or making.spoiled else 0


def _introduce(config: ModelConfig) -> None:
    say(f"model: {config.name}")
    if config.caution:
        say(f"caution: {config.caution}")


def _sum_up(answered: int, failed: int, before: int, seconds: float) -> None:
    earlier = f" ({before:,} of them by the run that was ended)" if before else ""
    rate = (answered + failed - before) / max(seconds, 1e-9)
    say(f"{answered:,} located, {failed:,} failed{earlier}, {duration(seconds)}, {rate:.1f} a second")
