"""The front door: ``load(source)`` gives a Locator, which tells where pictures were taken.

A Locator may be shared between threads; its encoders are loaded when first needed, and nothing is ever downloaded
by making one.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, overload

import numpy as np
from jaxtyping import Float32, Num
from PIL import Image

from earthclip.errors import InputError
from earthclip.gallery import Gallery, open_gallery
from earthclip.geo.geodesy import check_coordinates
from earthclip.models.config import IMAGE_ENCODER, LOCATION_ENCODER, LOCATION_PHASES, ModelConfig
from earthclip.models.folder import ModelFolder
from earthclip.models.sources import resolve
from earthclip.posterior import Posterior, check_top_k
from earthclip.prediction import Failure, Prediction
from earthclip.runtime.decode import as_rgb, decode
from earthclip.runtime.encoders import Encoder, LocationEncoder, Progress
from earthclip.runtime.preprocess import Preprocessing, preprocess

Picture: TypeAlias = str | os.PathLike[str] | Image.Image

_Pixels: TypeAlias = Float32[np.ndarray, "3 h w"]


def load(source: str | Path = "orbit", progress: Progress | None = None) -> Locator:
    """The model that ``source`` names: ``orbit``, ``geoclip``, or the path of a model folder.

    ``progress`` hears of (places encoded, places in all) when the gallery must be encoded, once for each model.
    Raises ModelError when the model is unknown, not on this machine, or its folder is incomplete.
    """
    return Locator(resolve(source), progress)


class Locator:
    """A model that locates pictures and embeds pictures and coordinates; safe to share between threads."""

    def __init__(self, folder: ModelFolder, progress: Progress | None = None) -> None:
        self.folder = folder
        self._progress = progress
        self._lock = threading.RLock()
        self._image_encoder: Encoder | None = None
        self._location_encoder: LocationEncoder | None = None
        self._gallery: Gallery | None = None

    def __repr__(self) -> str:
        return f"Locator({self.name!r}, {str(self.folder.path)!r})"

    @property
    def name(self) -> str:
        """What the model calls itself."""
        return self.config.name

    @property
    def config(self) -> ModelConfig:
        """What the model's ``config.json`` says."""
        return self.folder.config

    @property
    def gallery(self) -> Gallery:
        """The candidate places with their embeddings; read from the cache or encoded on first use."""
        with self._lock:
            if self._gallery is None:
                self._gallery = open_gallery(self.folder, self._open_location_encoder, self._progress)
            return self._gallery

    def encode_image(self, pictures: Sequence[Picture], batch_size: int = 16) -> Float32[np.ndarray, "n d"]:
        """Unit embeddings of pictures, in order. Raises InputError for the first that cannot be read."""
        _check_list(pictures)
        encoder, preprocessing = self._open_image_encoder()
        rows = [np.empty((0, self.config.embedding_size), np.float32)]
        for batch in _batches(enumerate(pictures), batch_size):
            pixels = np.stack([_pixels(picture, index, preprocessing) for index, picture in batch])
            rows.append(encoder.encode_image(pixels))
        return np.concatenate(rows)

    def encode_location(
        self, coordinates: Num[np.ndarray, "n 2"] | Sequence[Sequence[float]]
    ) -> Float32[np.ndarray, "n d"]:
        """Unit embeddings of (latitude, longitude) in degrees. Raises InputError for what are not coordinates."""
        return self._open_location_encoder().encode_location(check_coordinates(coordinates, "coordinates"))

    @overload
    def locate(
        self, pictures: Iterable[Picture], top_k: int = ..., batch_size: int = ..., on_error: Literal["raise"] = ...
    ) -> Iterator[Prediction]: ...

    @overload
    def locate(
        self, pictures: Iterable[Picture], top_k: int = ..., batch_size: int = ..., *, on_error: Literal["yield"]
    ) -> Iterator[Prediction | Failure]: ...

    def locate(
        self,
        pictures: Iterable[Picture],
        top_k: int = 5,
        batch_size: int = 16,
        on_error: Literal["raise", "yield"] = "raise",
    ) -> Iterator[Prediction | Failure]:
        """Where each picture was taken, in order, read ``batch_size`` at a time as the answers are asked for.

        A picture that cannot be read raises InputError when its turn comes, or with ``on_error="yield"`` stands as a
        Failure in its place. Raises InputError at once for a ``top_k`` outside 1..places or one bare picture, and
        ModelError when the model lacks an encoder or a gallery.
        """
        _check_list(pictures)
        check_top_k(top_k, len(self.folder.gallery_coordinates()))
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; expected at least 1")
        encoder, preprocessing = self._open_image_encoder()
        return self._answers(pictures, top_k, batch_size, on_error == "raise", encoder, preprocessing)

    def _answers(
        self,
        pictures: Iterable[Picture],
        top_k: int,
        batch_size: int,
        raises: bool,
        encoder: Encoder,
        preprocessing: Preprocessing,
    ) -> Iterator[Prediction | Failure]:
        for batch in _batches(enumerate(pictures), batch_size):
            outcomes: list[_Pixels | InputError] = []
            for index, picture in batch:
                try:
                    outcomes.append(_pixels(picture, index, preprocessing))
                except InputError as error:
                    outcomes.append(error)
                    if raises:
                        break
            readable = [outcome for outcome in outcomes if not isinstance(outcome, InputError)]
            logits = self._logits(np.stack(readable), encoder) if readable else np.empty((0, 0), np.float32)
            rows = iter(logits)
            for (_, picture), outcome in zip(batch, outcomes, strict=False):
                path = os.fspath(picture) if isinstance(picture, str | os.PathLike) else None
                if not isinstance(outcome, InputError):
                    yield self._prediction(path, next(rows), top_k)
                elif raises:
                    raise outcome
                else:
                    yield Failure(path, str(outcome))

    def _logits(self, pixels: Float32[np.ndarray, "b 3 h w"], encoder: Encoder) -> Float32[np.ndarray, "b m"]:
        return self.gallery.logits(encoder.encode_image(pixels), self.config.logit_scale)

    def _prediction(self, path: str | None, logits: Float32[np.ndarray, " m"], top_k: int) -> Prediction:
        posterior = Posterior.from_logits(self.gallery.coordinates, logits, self.config.temperature)
        coordinates, probabilities = posterior.top_k(top_k)
        return Prediction(path, self.name, coordinates, probabilities, posterior)

    def _open_image_encoder(self) -> tuple[Encoder, Preprocessing]:
        with self._lock:
            path = self.folder.file(IMAGE_ENCODER)
            assert self.config.preprocessing is not None  # open_folder has checked it
            if self._image_encoder is None:
                self._image_encoder = Encoder(path, self.config.embedding_size)
            return self._image_encoder, self.config.preprocessing

    def _open_location_encoder(self) -> LocationEncoder:
        with self._lock:
            if self._location_encoder is None:
                phases, encoder = self.folder.file(LOCATION_PHASES), self.folder.file(LOCATION_ENCODER)
                self._location_encoder = LocationEncoder(phases, encoder, self.config.embedding_size)
            return self._location_encoder


def _pixels(picture: object, index: int, preprocessing: Preprocessing) -> _Pixels:
    if isinstance(picture, Image.Image):
        return preprocess(as_rgb(picture, f"picture {index}"), preprocessing)
    if isinstance(picture, str | os.PathLike):
        return preprocess(decode(picture), preprocessing)
    found = type(picture).__name__
    raise InputError(f"picture {index}: expected a path or a PIL image, found {found}; see PIL.Image.fromarray")


def _check_list(pictures: object) -> None:
    if isinstance(pictures, str | os.PathLike | Image.Image):
        raise InputError(f"expected a list of pictures, found one ({str(pictures)[:80]}); write [picture]")


def _batches(items: Iterator[tuple[int, Picture]], size: int) -> Iterator[tuple[tuple[int, Picture], ...]]:
    while batch := tuple(itertools.islice(items, size)):
        yield batch
