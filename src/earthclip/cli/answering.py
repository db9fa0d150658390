"""The model answering: opened, introduced on stderr, asked about pictures batch by batch, and its answers followed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click
from click.core import ParameterSource

from earthclip.cli.status import Pace, StatusLine, duration, note, say, verbose
from earthclip.errors import ConfigError, EarthCLIPError, InputError
from earthclip.models import Precision, Runtime
from earthclip.pictures.finding import each_picture
from earthclip.pictures.kinds import PassedOver
from earthclip.pictures.prepare import Failure

if TYPE_CHECKING:
    from earthclip.cli.library import Library
    from earthclip.locating.locator import Locator
    from earthclip.locating.prediction import Prediction
    from earthclip.locating.question import Question
    from earthclip.models.folder import ModelFolder
    from earthclip.models.sources import ChosenModel
    from earthclip.outputs.journal import Journal
    from earthclip.pictures.prepare import Prepared
    from earthclip.pictures.preprocess import Preprocessing

# Pictures in a batch, so that it has about as many views whatever they are: ten crops take ten times the memory.
BATCH_SIZES = {"none": 16, "flip": 8, "ten-crop": 2}

Taker: TypeAlias = "Callable[[Prediction | Failure], None]"


@dataclass(frozen=True)
class Ask:
    """A question, and what answers it: which model, run how, on pictures decoded how."""

    model: ChosenModel
    runtime: Runtime
    precision: Precision
    question: Question
    texts: tuple[str, ...] = ()  # located by themselves, where there are no pictures
    draft: bool = True
    region_reason: str | None = None

    @property
    def options(self) -> dict[str, object]:
        """Everything that decides the answers, beside the model and the pictures."""
        return {**self.question.options, "runtime": self.runtime, "precision": self.precision, "draft": self.draft}


def ask_of(
    source: str | None,
    *,
    runtime: Runtime,
    precision: Precision,
    text: tuple[str, ...] = (),
    region: tuple[str, ...] = (),
    full_size: bool = False,
    for_places: bool = False,
    several: bool = False,
    **fields: Any,
) -> Ask:
    """What the options ask, by their names; ``several``: where auto may choose another model for each picture.

    Raises InputError, MissingExtraError and ConfigError.
    """
    from earthclip.geo.regions import parse_regions
    from earthclip.locating.question import Question
    from earthclip.models.defaults import find_defaults
    from earthclip.models.sources import choose_model

    given = click.get_current_context().params
    if _typed("text_weight") and not (text and (given.get("pictures") or given.get("listed"))):
        raise click.UsageError("--text-weight weighs --text against a picture; give both.")
    typed = _typed("region")
    try:
        area = parse_regions(region) if region else None
    except InputError as error:
        raise error if typed else ConfigError(f"{find_defaults()}: region: {error}") from error
    model = choose_model(source, for_places=for_places)
    return Ask(
        model if several else replace(model, first=None),
        runtime,
        precision,
        Question(text=text[0] if text else None, region=area, names=True, **fields),
        texts=text,
        draft=not full_size,
        region_reason=None if typed or not region else f"set in {find_defaults()}",
    )


def _typed(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def open_model(ask: Ask) -> Locator:
    """The model, with progress where its places must be encoded first. Raises ModelError."""
    from earthclip.locating.locator import load

    status = StatusLine()

    def encoded(done: int, n: int) -> None:
        status.show(f"encoding {n:,} places, once: {100 * done // n} %")

    return load(ask.model, encoded, runtime=ask.runtime, precision=ask.precision)


def introduce(folder: ModelFolder, ask: Ask) -> None:
    """Say which model answers, why, and how to choose another; likewise a region that nobody typed."""
    why = f" ({ask.model.reason}; choose another with --model)" if ask.model.reason else ""
    note(f"model: {folder.config.name}{why}")
    _introduce_more([folder], ask)


def introduce_models(locator: Locator, ask: Ask, *, cautioned: bool = False) -> None:
    """``introduce`` what answers about pictures, and say what it is not for unless the output does."""
    models = locator.asked(ask.question)
    first, scope = models[0], models[0].config.scope
    if len(models) == 1 or scope is None:
        introduce(locator.folder, ask)
        if (why := locator.why_not_first(ask.question)) and locator.first is not None:
            note(f"{locator.first.name} is not asked: {why}")
    else:
        otherwise = f"otherwise {locator.name} (auto; choose one with --model)"
        note(f"models: {first.name} where a picture looks like {scope.of}, {otherwise}")
        _introduce_more([model.folder for model in models], ask)
    for model in models:
        if model.config.caution and not cautioned:
            of = f" ({model.name})" if len(models) > 1 else ""
            say(f"caution{of}: {model.config.caution}")


def _introduce_more(folders: list[ModelFolder], ask: Ask) -> None:
    if ask.question.region and ask.region_reason:
        note(f"region: {ask.question.region.name} ({ask.region_reason}; choose another with --region)")
    if verbose():
        for folder in folders:
            say(f"model folder: {folder.path}")


def introduce_to_pictures(locator: Locator, ask: Ask, *, cautioned: bool = False) -> None:
    """``introduce_models``, and with --verbose say what runs them."""
    introduce_models(locator, ask, cautioned=cautioned)
    if verbose():
        from earthclip.models.config import IMAGE_ENCODER

        for model in locator.asked(ask.question):
            if model.folder.has(IMAGE_ENCODER):
                say(f"image encoder: {model.image_choice}")


def image_choices(models: Iterable[Locator]) -> str:
    """What runs the image encoders of models, as a run notes it."""
    return "; ".join(str(model.image_choice) for model in models)


def pin(models: Iterable[Locator], choices: str) -> None:
    """Have pictures encoded as ``image_choices`` says; where that is not here, the comparison with it says so."""
    from earthclip.models.fastest import read_choice

    for model, choice in zip(models, choices.split("; "), strict=False):
        if found := read_choice(choice, model.folder):
            model.pin(found)


@contextlib.contextmanager
def answers_of(
    ask: Ask,
    locator: Locator,
    arguments: tuple[Path, ...],
    listed: Path | None,
    workers: int | None,
    journal: Journal | None = None,
    library: Library | None = None,
) -> Iterator[Iterator[Prediction | Failure]]:
    """The answers about pictures, as they come, but for those in the journal and those ``library`` leaves out."""
    pictures: Iterator[Path | Failure] = found_pictures(arguments, listed)
    if journal:
        pictures = journal.unanswered(pictures)
    if library:
        pictures = library.wanted(pictures)
    views, also = ask.question.views, locator.also(locator.asked(ask.question))
    with contextlib.closing(read_pictures(locator, pictures, views, workers, draft=ask.draft, also=also)) as prepared:
        yield locator.answers(prepared, ask.question, batch_size=BATCH_SIZES[views])


def found_pictures(arguments: tuple[Path, ...], listed: Path | None) -> Iterator[Path | Failure]:
    """The pictures of arguments and a list; what their folders hold besides is counted and said at the end."""
    passed_over = PassedOver()
    found = False
    for picture in each_picture(arguments, listed, passed_over):
        found = True
        yield picture
    if not found:
        note(f"no pictures: {listed or 'standard input'} lists none")
    elif passed_over:
        note(str(passed_over))


def read_pictures(
    locator: Locator,
    pictures: Iterator[Path | Failure],
    views: str,
    workers: int | None,
    *,
    draft: bool = True,
    also: tuple[Preprocessing, ...] = (),
) -> Generator[Prepared | Failure, None, None]:
    """The pictures, read ahead of the encoder by ``workers`` processes (None: one for each processor).

    ``also`` is what they need done to them for other models.
    """
    from earthclip.configuration import usable_processors
    from earthclip.pictures.reader import Reader

    workers = usable_processors() if workers is None else workers
    with Reader(locator.folder.preprocessing, views, workers=workers, draft=draft, also=also) as reader:
        # The next batch is read while this one is encoded.
        yield from reader.read_ahead(pictures, BATCH_SIZES[views] + 2 * workers)


class Takers:
    """What is made of each answer; what one of them cannot make is said, and remembered in ``spoiled``."""

    def __init__(self, takers: list[Taker]) -> None:
        self.spoiled = False
        self._takers = takers

    def take(self, answer: Prediction | Failure) -> None:
        """Hand one answer to each."""
        for taker in self._takers:
            try:
                taker(answer)
            except EarthCLIPError as error:
                say(f"error: {error}")
                self.spoiled = True


@dataclass
class Tally:
    """How many pictures were answered and failed, ``before`` of them by an earlier run, and how fast."""

    answered: int = 0
    failed: int = 0
    before: int = 0

    def follow(
        self, answers: Iterable[Prediction | Failure], take: Taker, total: int | None, *, on_screen: bool
    ) -> None:
        """Hand on each answer as it comes, with progress and what failed on stderr; many are summed up in the end.

        ``on_screen``: what ``take`` prints is on the terminal itself, which needs no progress then.
        """
        from earthclip.pictures.reader import FEW

        status, began, pace = StatusLine(), time.monotonic(), Pace(total, self.before)
        for answer in answers:
            if on_screen:
                status.clear()
            if isinstance(answer, Failure):
                self.failed += 1
                status.clear()
                say(f"error: {answer.error}")
            else:
                self.answered += 1
            take(answer)
            if status.active and not on_screen:
                status.show(pace.text(self.answered + self.failed))
        status.clear()
        if self.answered + self.failed > FEW:
            self._sum_up(time.monotonic() - began)

    def _sum_up(self, seconds: float) -> None:
        earlier = f" ({self.before:,} of them by the interrupted run)" if self.before else ""
        rate = (self.answered + self.failed - self.before) / max(seconds, 1e-9)
        note(f"{self.answered:,} located, {self.failed:,} failed{earlier}, {duration(seconds)}, {rate:.1f} a second")

    def exit_code(self, spoiled: bool = False) -> int:
        """0: all done, or nothing was asked; 1: some failed; 2: all failed."""
        if self.failed and not self.answered:
            return 2
        return 1 if self.failed or spoiled else 0
