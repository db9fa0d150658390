"""A model's answers to photos with known places: the best place of each, what it promised, what could not be read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64

from earthclip.datasets.photos import FileStore, PhotoSet, StoredPhotos
from earthclip.errors import InputError
from earthclip.evaluation.promises import Promise, Promises, joined, promise_of
from earthclip.locating.prediction import Prediction
from earthclip.models.config import ModelConfig
from earthclip.pictures.ahead import read_ahead
from earthclip.pictures.decode import decode_reduced
from earthclip.pictures.prepare import Failure, Prepared, prepare
from earthclip.pictures.preprocess import Preprocessing, shortest_side, view_pixels

_BATCH = 16


@runtime_checkable  # so that the checks of signatures in tests can see it
class Locates(Protocol):
    """What is asked of a model; a Locator is one."""

    @property
    def config(self) -> ModelConfig:
        """What it is."""

    def locate(
        self,
        pictures: Iterable[Prepared | Failure],
        top_k: int = ...,
        batch_size: int = ...,
        *,
        on_error: Literal["yield"],
        views: str = ...,
    ) -> Iterator[Prediction | Failure]:
        """One answer for each picture, in order."""


@dataclass(frozen=True, eq=False)
class Located:
    """The answers of one system to photos: ``rows`` [m] of the photos that were answered, their ``places`` [m, 2] in
    degrees; ``promises`` where the system gives probabilities; ``failures`` of the photos that could not be read."""

    name: str
    rows: Int64[np.ndarray, " m"]
    places: Float[np.ndarray, "m 2"]
    promises: Promises | None
    failures: list[Failure]


def locate_photos(
    locator: Locates,
    photos: PhotoSet,
    *,
    views: str = "none",
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Located:
    """A model's best answer to each photo; ``progress`` hears of photos done and in all.

    ``views`` are averaged over ("none", "flip", "ten-crop"); files are read in ``workers`` processes ahead of the
    encoder. A photo that cannot be read is a failure, and the others go on. Raises InputError when none can be read,
    ModelError for a model that locates no pictures.
    """
    rows, places, failures = [], [], []
    promised: list[Promise] = []
    with contextlib.closing(_prepared(photos, _preprocessing(locator), views, workers)) as pictures:
        answers = locator.locate(pictures, top_k=1, batch_size=_BATCH, on_error="yield", views=views)
        for row, answer in enumerate(answers):
            if isinstance(answer, Failure):
                failures.append(answer)
            else:
                rows.append(row)
                places.append(answer.coordinates[0])
                if (promise := promise_of(answer, photos.coordinates[row])) is not None:
                    promised.append(promise)
            if progress:
                progress(row + 1, len(photos))
    if not rows:
        first = f"; the first: {failures[0].error}" if failures else ""
        raise InputError(f"{photos.name}: none of {len(photos):,} photos could be read{first}")
    promises = joined(promised) if len(promised) == len(rows) else None
    return Located(locator.config.name, np.array(rows, np.int64), np.stack(places), promises, failures)


def _preprocessing(locator: Locates) -> Preprocessing:
    if locator.config.preprocessing is None:
        raise InputError(f"model '{locator.config.name}' has no image encoder; choose one that can locate pictures")
    return locator.config.preprocessing


def _prepared(
    photos: PhotoSet, preprocessing: Preprocessing, views: str, workers: int
) -> Generator[Prepared | Failure, None, None]:
    if isinstance(photos, StoredPhotos) and isinstance(photos.store, FileStore):
        paths = (Path(photos.store.open(row)) for row in photos.rows.tolist())
        yield from read_ahead(paths, preprocessing, views, workers=workers, ahead=_BATCH + 2 * workers)
        return
    for index, name in enumerate(photos.ids):
        try:
            yield _read(photos.open(index), name, preprocessing, views)
        except InputError as error:
            yield Failure(name, str(error))


def _read(photo: str | BufferedIOBase, name: str, preprocessing: Preprocessing, views: str) -> Prepared:
    if isinstance(photo, str):
        return prepare(photo, preprocessing, views)
    with photo:
        # As large a draft as runtime.prepared takes
        reduced = decode_reduced(photo, 2 * shortest_side(preprocessing, views), where=name)
    return Prepared(view_pixels(reduced, preprocessing, views), None)
