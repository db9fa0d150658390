"""The front door: ``load(source)`` gives a Locator, which tells where pictures were taken and words are true.

A Locator may be shared between threads; its encoders are loaded when first needed, and nothing is ever downloaded
by making one. Over 300 lines, since type checkers want the signature of ``locate`` three times.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import numpy as np
from jaxtyping import Float32, Num

from earthclip.errors import InputError
from earthclip.geo.sphere import check_coordinates
from earthclip.locating.gallery import Gallery, open_gallery
from earthclip.locating.posterior import Area
from earthclip.locating.prediction import Prediction
from earthclip.locating.ranking import Ranking, Terms
from earthclip.models import Precision, Runtime
from earthclip.models.config import (
    GALLERY,
    IMAGE_ENCODER,
    LOCATION_ENCODER,
    LOCATION_PHASES,
    TEXT_ENCODER,
    TOKENIZER,
    ModelConfig,
)
from earthclip.models.encoders import Encoder, LocationEncoder, Progress, Tokenizer
from earthclip.models.fastest import choose
from earthclip.models.folder import ModelFolder
from earthclip.models.sources import choose_model, resolve
from earthclip.pictures.prepare import Failure, Picture, Prepared, batches, check_list, path_of, read
from earthclip.pictures.preprocess import Preprocessing


def load(
    source: str | Path | None = None,
    progress: Progress | None = None,
    runtime: Runtime = "auto",
    precision: Precision = "auto",
) -> Locator:
    """The model that ``source`` names: ``orbit``, ``geoclip``, or the path of a model folder.

    Without a source it is the model that earthclip.toml names, else ``geoclip`` if it is pulled, otherwise ``orbit``.
    ``progress`` hears of (places encoded, places in all) when the gallery must be encoded, once for each model.
    ``runtime`` and ``precision`` are what it computes on and how exactly; "auto" is the fastest here whose embeddings
    keep a cosine of 0.999 (pictures) and 0.9999 (places) with float32's, see models/fastest.py.
    Raises ModelError when the model is unknown, not on this machine, or its folder is incomplete, and ConfigError for
    an earthclip.toml that cannot be used.
    """
    return Locator(resolve(choose_model(source).source), progress, runtime, precision)


class Locator:
    """A model that locates pictures and embeds pictures and coordinates; safe to share between threads."""

    def __init__(
        self,
        folder: ModelFolder,
        progress: Progress | None = None,
        runtime: Runtime = "auto",
        precision: Precision = "auto",
    ) -> None:
        self.folder = folder
        self._runtime: Runtime = runtime
        self._precision: Precision = precision
        self._progress = progress
        self._lock = threading.RLock()
        self._image_encoder: Encoder | None = None
        self._text_encoder: tuple[Tokenizer, Encoder] | None = None
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
                exact = self._precision == "float32" or self._runtime == "onnxruntime"
                self._gallery = open_gallery(self.folder, self._open_location_encoder, self._progress, exact=exact)
            return self._gallery

    def warm_up(self) -> None:
        """Open everything that locating needs now, so that no answer waits for it; the first time takes longest."""
        if self.folder.has(IMAGE_ENCODER):
            self._open_image_encoder()
        if self.folder.has(GALLERY):
            _ = self.gallery

    def encode_image(
        self, pictures: Sequence[Picture | Prepared], batch_size: int = 16, views: str = "none"
    ) -> Float32[np.ndarray, "n d"]:
        """Embeddings of pictures, in order; unit rows, or with ``views`` the mean of the views' unit rows.

        Logits are linear in the embedding, so that mean gives the mean of the views' logits, as the paper takes it.
        Raises InputError for the first picture that cannot be read.
        """
        return self.encode_image_with(self._open_image_encoder()[0], pictures, batch_size, views)

    def encode_image_with(
        self, encoder: Encoder, pictures: Sequence[Picture | Prepared], batch_size: int = 16, views: str = "none"
    ) -> Float32[np.ndarray, "n d"]:
        """As ``encode_image`` with another image encoder of the same preprocessing, to compare the two."""
        check_list(pictures)
        self._check_views(views)
        _, preprocessing = self._open_image_encoder()
        rows = [np.empty((0, self.config.embedding_size), np.float32)]
        for batch in batches(enumerate(pictures), batch_size):
            pixels = np.stack([read(picture, index, preprocessing, views).pixels for index, picture in batch])
            rows.append(encoder.encode_views(pixels))
        return np.concatenate(rows)

    def encode_text(self, texts: Sequence[str]) -> Float32[np.ndarray, "n d"]:
        """Unit embeddings of texts that describe a place, in order.

        Raises InputError for a text without words, ModelError when the model has no words, and MissingExtraError
        without the extra ``text``.
        """
        check_list(texts, "text")
        tokenizer, encoder = self._open_text_encoder()
        return encoder.encode(tokenizer(texts))

    def encode_location(
        self, coordinates: Num[np.ndarray, "n 2"] | Sequence[Sequence[int | float]]
    ) -> Float32[np.ndarray, "n d"]:
        """Unit embeddings of (latitude, longitude) in degrees. Raises InputError for what are not coordinates."""
        return self._open_location_encoder().encode_location(check_coordinates(coordinates, "coordinates"))

    @overload
    def locate(
        self,
        pictures: Iterable[Picture | Prepared | Failure],
        top_k: int = ...,
        batch_size: int = ...,
        on_error: Literal["raise"] = ...,
        *,
        views: str = ...,
        text: str | None = ...,
        text_weight: float = ...,
        region: Area | None = ...,
        prior: str = ...,
        refine: bool = ...,
        min_confidence: float = ...,
    ) -> Iterator[Prediction]: ...

    @overload
    def locate(
        self,
        pictures: Iterable[Picture | Prepared | Failure],
        top_k: int = ...,
        batch_size: int = ...,
        *,
        on_error: Literal["yield"],
        views: str = ...,
        text: str | None = ...,
        text_weight: float = ...,
        region: Area | None = ...,
        prior: str = ...,
        refine: bool = ...,
        min_confidence: float = ...,
    ) -> Iterator[Prediction | Failure]: ...

    def locate(
        self,
        pictures: Iterable[Picture | Prepared | Failure],
        top_k: int = 5,
        batch_size: int = 16,
        on_error: Literal["raise", "yield"] = "raise",
        *,
        views: str = "none",
        text: str | None = None,
        text_weight: float = 0.5,
        region: Area | None = None,
        prior: str = "model",
        refine: bool = False,
        min_confidence: float = 0.0,
    ) -> Iterator[Prediction | Failure]:
        """Where each picture was taken, in order, read ``batch_size`` at a time as the answers are asked for.

        ``views`` averages the logits over a picture and its mirror image ("flip") or ten crops ("ten-crop"); with
        ``text``, logits are the mean of the picture's and the words', the latter weighted by ``text_weight``.
        ``region``, ``prior``, ``refine`` and ``min_confidence`` are explained in ranking.Terms. A picture that cannot
        be read raises InputError when its turn comes, or with ``on_error="yield"`` stands as a Failure in its place.
        Raises InputError at once for a ``top_k`` outside 1..places, a region without places or one bare picture, and
        ModelError when the model lacks an encoder or a gallery.
        """
        check_list(pictures)
        ranking = self._ranking(Terms(top_k, region, prior, refine, min_confidence))
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; expected at least 1")
        if not 0 <= text_weight <= 1:
            raise InputError(f"text_weight is {text_weight}; expected 0 (the picture alone) to 1 (the words alone)")
        self._check_views(views)
        encoder, preprocessing = self._open_image_encoder()
        words = None if text is None else text_weight * self.encode_text([text])
        ask = _Question(ranking, views, text, words, 1.0 if text is None else 1 - text_weight)
        return self._answers(pictures, batch_size, on_error == "raise", ask, encoder, preprocessing)

    def locate_text(
        self,
        texts: Sequence[str],
        top_k: int = 5,
        *,
        region: Area | None = None,
        prior: str = "model",
        refine: bool = False,
        min_confidence: float = 0.0,
    ) -> list[Prediction]:
        """Where each text is true, such as "snow-capped volcano"; raises as ``encode_text`` and ``locate`` do."""
        self._open_text_encoder()
        ranking = self._ranking(Terms(top_k, region, prior, refine, min_confidence))
        return list(ranking.answers(self.encode_text(texts), [None] * len(texts), texts))

    def _answers(
        self,
        pictures: Iterable[Picture | Prepared | Failure],
        batch_size: int,
        raises: bool,
        ask: _Question,
        encoder: Encoder,
        preprocessing: Preprocessing,
    ) -> Iterator[Prediction | Failure]:
        for batch in batches(enumerate(pictures), batch_size):
            outcomes: list[Prepared | InputError] = []
            for index, picture in batch:
                try:
                    outcomes.append(read(picture, index, preprocessing, ask.views))
                except InputError as error:
                    outcomes.append(error)
                    if raises:
                        break
            readable = [outcome for outcome in outcomes if isinstance(outcome, Prepared)]
            answers = self._located(readable, ask, encoder) if readable else iter(())
            for (_, picture), outcome in zip(batch, outcomes, strict=False):
                if not isinstance(outcome, InputError):
                    yield next(answers)
                elif raises:
                    raise outcome
                else:
                    yield picture if isinstance(picture, Failure) else Failure(path_of(picture), str(outcome))

    def _located(self, pictures: Sequence[Prepared], ask: _Question, encoder: Encoder) -> Iterator[Prediction]:
        embeddings = encoder.encode_views(np.stack([picture.pixels for picture in pictures]))
        if ask.words is not None:
            embeddings = np.float32(ask.picture_weight) * embeddings + ask.words
        return ask.ranking.answers(embeddings, [picture.path for picture in pictures], [ask.text] * len(pictures))

    def _ranking(self, terms: Terms) -> Ranking:
        coordinates = self.folder.gallery_coordinates()
        return Ranking(terms, self.config, coordinates, lambda: self.gallery, self.encode_location)

    def _check_views(self, views: str) -> None:
        if views not in self.config.views:
            raise InputError(f"model '{self.name}' takes views {', '.join(self.config.views)}, found '{views}'")

    def _open_image_encoder(self) -> tuple[Encoder, Preprocessing]:
        with self._lock:
            if self._image_encoder is None:
                choice = choose(self.folder, self._runtime, self._precision)
                self._image_encoder = choice.open(self.config.embedding_size)
            assert self.config.preprocessing is not None  # open_folder has checked it
            return self._image_encoder, self.config.preprocessing

    def _open_text_encoder(self) -> tuple[Tokenizer, Encoder]:
        with self._lock:
            if self._text_encoder is None:
                encoder = Encoder(self.folder.file(TEXT_ENCODER), self.config.embedding_size, "tokens")
                words = self.config.words
                assert words is not None  # open_folder has checked it
                self._text_encoder = Tokenizer(self.folder.file(TOKENIZER), words.length, words.pad_id), encoder
            return self._text_encoder

    def _open_location_encoder(self) -> LocationEncoder:
        with self._lock:
            if self._location_encoder is None:
                phases = self.folder.file(LOCATION_PHASES) if self.folder.has(LOCATION_PHASES) else None
                encoder, size = self.folder.file(LOCATION_ENCODER), self.config.embedding_size
                self._location_encoder = LocationEncoder(phases, encoder, size, self._runtime, self._precision)
            return self._location_encoder


@dataclass(frozen=True, eq=False)
class _Question:
    ranking: Ranking
    views: str
    text: str | None
    words: Float32[np.ndarray, "1 d"] | None  # the text's embedding times its weight
    picture_weight: float
