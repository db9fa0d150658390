"""A model's answers to photos with known places: the best place of each, what it promised, what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Protocol, Unpack, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64

from earthclip.datasets.photos import PhotoSet
from earthclip.errors import InputError
from earthclip.evaluation.outcomes import Outcome, Outcomes, outcome_of
from earthclip.locating.evidence import References
from earthclip.locating.prediction import Prediction
from earthclip.locating.question import Question, QuestionFields
from earthclip.models.config import ModelConfig
from earthclip.pictures.prepare import Failure, Picture, Prepared
from earthclip.pictures.preprocess import Preprocessing
from earthclip.pictures.reader import Named, Reader

_BATCH = 16


@runtime_checkable  # so that the checks of signatures in tests can see it
class Locates(Protocol):
    """What is asked of a model; a Locator is one."""

    @property
    def config(self) -> ModelConfig:
        """What it is."""

    def answers(
        self,
        pictures: Iterable[Picture | Prepared | Failure],
        question: Question | None = None,
        *,
        batch_size: int = 16,
        **fields: Unpack[QuestionFields],
    ) -> Iterator[Prediction | Failure]:
        """One answer for each picture, in order."""


@dataclass(frozen=True, eq=False)
class Located:
    """The answers of one system to photos: ``rows`` [m] of the photos that were answered, their ``places`` [m, 2] in
    degrees; ``outcomes`` where the system gives probabilities; ``failures`` of the photos that could not be read."""

    name: str
    rows: Int64[np.ndarray, " m"]
    places: Float[np.ndarray, "m 2"]
    outcomes: Outcomes | None
    failures: list[Failure]


def locate_photos(
    locator: Locates,
    photos: PhotoSet,
    *,
    views: str = "none",
    index: Sequence[References] = (),
    workers: int = 0,
    also: tuple[Preprocessing, ...] = (),
    label: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Located:
    """A model's best answer to each photo; ``progress`` hears of photos done and in all.

    ``views`` are averaged over ("none", "flip", "ten-crop"); an ``index`` of photos must leave out those that
    give an answer away, see leave_out.py. Photos are read in ``workers`` processes ahead of the encoder. A photo
    out of the model's scope is answered like any other. A photo that cannot be read is a failure, and the others go
    on. Where another model is asked first, ``also`` is what that needs done to photos, and ``label`` names both.
    Raises InputError when none can be read, ModelError for a model that locates no pictures.
    """
    rows, places, failures = [], [], []
    outcomes: list[Outcome] = []
    sources = (Named(name, partial(photos.open, index)) for index, name in enumerate(photos.ids))
    with Reader(_preprocessing(locator), views, workers=workers, also=also) as reader:
        pictures = reader.read_ahead(sources, _BATCH + 2 * workers)
        question = Question(top_k=1, views=views, index=index, force_answer=True)
        for row, answer in enumerate(locator.answers(pictures, question, batch_size=_BATCH)):
            if isinstance(answer, Failure):
                failures.append(answer)
            else:
                rows.append(row)
                places.append(answer.coordinates[0])
                if (outcome := outcome_of(answer, photos.coordinates[row])) is not None:
                    outcomes.append(outcome)
            if progress:
                progress(row + 1, len(photos))
    if not rows:
        first = f"; the first: {failures[0].error}" if failures else ""
        raise InputError(f"{photos.name}: none of {len(photos):,} photos could be read{first}")
    whole = Outcomes.of(outcomes) if len(outcomes) == len(rows) else None
    name = " with ".join([label or locator.config.name, *(PurePath(one.name).name for one in index)])
    return Located(name, np.array(rows, np.int64), np.stack(places), whole, failures)


def _preprocessing(locator: Locates) -> Preprocessing:
    if locator.config.preprocessing is None:
        raise InputError(f"model '{locator.config.name}' has no image encoder; choose one that can locate pictures")
    return locator.config.preprocessing
