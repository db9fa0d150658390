"""The front door: ``load(source)`` gives a Locator, which tells where pictures were taken and which places texts fit.

A Locator may be shared between threads; its encoders are loaded when first needed, and nothing is ever downloaded
by making one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Unpack

import numpy as np
from jaxtyping import Float32, Num

from earthclip.errors import InputError
from earthclip.geo.sphere import check_coordinates
from earthclip.locating.gallery import Gallery, open_gallery
from earthclip.locating.posterior import adjustment, check_top_k
from earthclip.locating.prediction import Prediction
from earthclip.locating.question import Question, QuestionFields
from earthclip.locating.ranking import Ranking
from earthclip.locating.scope import ScopeJudge
from earthclip.models import Precision, Runtime
from earthclip.models.config import GALLERY, IMAGE_ENCODER, LOCATION_PHASES, TEXT_ENCODER, TOKENIZER, ModelConfig
from earthclip.models.encoders import Encoder, LocationEncoder, Progress, Tokenizer
from earthclip.models.fastest import Choice, choose
from earthclip.models.folder import ModelFolder
from earthclip.models.measured import EncoderKind
from earthclip.models.onnx_runtime import has_gpu
from earthclip.models.race import ENCODERS, measure_missing
from earthclip.models.sources import choose_model, resolve
from earthclip.pictures.prepare import Failure, Picture, Prepared, batches, check_list, outcome_of, read
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
    ``runtime`` and ``precision`` are what it computes on and how exactly; "auto" is the fastest measured here whose
    embeddings keep a cosine of 0.999 (pictures) and 0.9999 (places) with float32's, see models/fastest.py.
    Raises ModelError for a model that is unknown, not here or incomplete, ConfigError for a wrong earthclip.toml.
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
        self._many = False  # inputs to come, for which a slower start pays
        self._lock = threading.RLock()
        self._image_choice: Choice | None = None
        self._image_encoder: Encoder | None = None
        self._judge = ScopeJudge(folder)
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
                self._gallery = open_gallery(self.folder, self.open_location_encoder, self._progress, exact=exact)
            return self._gallery

    @property
    def image_choice(self) -> Choice:
        """What the image encoder runs on, as long as this locator lives. Raises ModelError."""
        with self._lock:
            if self._image_choice is None:
                self._image_choice = choose(self.folder, self._runtime, self._precision, many=self._many)
            return self._image_choice

    def pin(self, image_choice: Choice) -> None:
        """Run the image encoder as an earlier run did, whatever is the fastest by now; before it is first used."""
        with self._lock:
            self._image_choice = image_choice

    def measure_speed(
        self, told: Callable[[str], None] = lambda text: None, encoders: Sequence[EncoderKind] = ENCODERS
    ) -> None:
        """Prepare for many inputs: measure, once, what runs the encoders fastest here, if "auto" may choose.

        ``told`` hears what is timed.
        """
        with self._lock:
            self._many = True
            if self._runtime == self._precision == "auto" and self._image_choice is None:
                measure_missing(self.folder, told, encoders)

    def warm_up(self, told: Callable[[str], None] = lambda text: None) -> None:
        """Open and measure all that locating needs, so that no answer waits for it; the first time takes longest."""
        self.measure_speed(told)
        if self.folder.has(IMAGE_ENCODER):
            self._open_image_encoder()
        if self.folder.has(GALLERY):
            _ = self.gallery

    def encode_image(
        self, pictures: Sequence[Picture | Prepared | Failure], batch_size: int = 16, views: str = "none"
    ) -> Float32[np.ndarray, "n d"]:
        """Embeddings of pictures, in order; unit rows, or with ``views`` the mean of the views' unit rows.

        Logits are linear in the embedding, so that mean gives the mean of the views' logits, as the paper takes it.
        Raises InputError for the first picture that cannot be read.
        """
        return self.encode_image_with(self._open_image_encoder()[0], pictures, batch_size, views)

    def encode_image_with(
        self,
        encoder: Encoder,
        pictures: Sequence[Picture | Prepared | Failure],
        batch_size: int = 16,
        views: str = "none",
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
        return self.open_location_encoder().encode_location(check_coordinates(coordinates, "coordinates"))

    def locate(
        self,
        pictures: Iterable[Picture | Prepared | Failure],
        question: Question | None = None,
        *,
        batch_size: int = 16,
        **fields: Unpack[QuestionFields],
    ) -> Iterator[Prediction]:
        """Where each picture was taken, in order, read ``batch_size`` at a time as the answers are asked for.

        ``fields`` are those of a Question, or change some of ``question``: ``locate(pictures, top_k=3)``. A picture
        that cannot be read raises InputError when its turn comes; ``answers`` goes on to the next one instead. Raises
        InputError at once for a ``top_k`` outside 1..places, a region without places or one bare picture, and
        ModelError when the model lacks an encoder or a gallery.
        """
        return map(_or_raise, self.answers(pictures, question, batch_size=batch_size, **fields))

    def answers(
        self,
        pictures: Iterable[Picture | Prepared | Failure],
        question: Question | None = None,
        *,
        batch_size: int = 16,
        **fields: Unpack[QuestionFields],
    ) -> Iterator[Prediction | Failure]:
        """As ``locate``, with a Failure in the place of each picture that cannot be read."""
        asked = (question or Question()).with_fields(fields)
        check_list(pictures)
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; expected at least 1")
        self.check(asked)
        self._open_image_encoder()
        return self._answers(pictures, batch_size, asked)

    def locate_text(
        self, texts: Sequence[str], question: Question | None = None, **fields: Unpack[QuestionFields]
    ) -> list[Prediction]:
        """The places each text fits, such as "snow-capped volcano"; raises as ``encode_text`` and ``locate`` do."""
        asked = (question or Question()).with_fields(fields)
        self._open_text_encoder()
        self.check(asked)
        embeddings = self.encode_text(texts)
        return self._ranking(asked).answers(embeddings, [None] * len(texts), texts)

    def check(self, question: Question) -> None:
        """Raise what ``locate`` would raise for this question, before any picture is read or place encoded."""
        coordinates = self.folder.gallery_coordinates()
        check_top_k(question.top_k, len(coordinates))
        self._check_views(question.views)
        if question.region is not None:
            adjustment("model", self.config.prior, coordinates, question.region)
        for index in question.indices:
            index.check_model(self.folder)

    def _answers(
        self, pictures: Iterable[Picture | Prepared | Failure], batch_size: int, question: Question
    ) -> Iterator[Prediction | Failure]:
        encoder, preprocessing = self._open_image_encoder()
        text = None if question.text is None else np.float32(question.text_weight) * self.encode_text([question.text])
        ranking: Ranking | None = None

        def ranked(pictures: list[Prepared]) -> list[Prediction]:
            nonlocal ranking
            # Only now, since the first use of a gallery may have to encode it.
            ranking = ranking or self._ranking(question)
            embeddings = encoder.encode_views(np.stack([picture.pixels for picture in pictures]))  # [b, d]
            if text is not None:
                embeddings = np.float32(1 - question.text_weight) * embeddings + text
            paths = [picture.path for picture in pictures]
            return ranking.answers(embeddings, paths, [question.text] * len(pictures))

        for batch in batches(enumerate(pictures), batch_size):
            outcomes = [outcome_of(picture, index, preprocessing, question.views) for index, picture in batch]
            readable = [outcome for outcome in outcomes if isinstance(outcome, Prepared)]
            predictions = iter(self._judge.answers(readable, question, ranked))
            for outcome in outcomes:
                yield outcome if isinstance(outcome, Failure) else next(predictions)

    def _ranking(self, question: Question) -> Ranking:
        return Ranking(question, self.config, self.gallery, self.encode_location)

    def _check_views(self, views: str) -> None:
        if views not in self.config.views:
            raise InputError(f"model '{self.name}' takes views {', '.join(self.config.views)}, found '{views}'")

    def _open_image_encoder(self) -> tuple[Encoder, Preprocessing]:
        with self._lock:
            if self._image_encoder is None:
                self._image_encoder = self.image_choice.open(self.config.embedding_size)
            return self._image_encoder, self.folder.preprocessing

    def _open_text_encoder(self) -> tuple[Tokenizer, Encoder]:
        with self._lock:
            if self._text_encoder is None:
                path, size = self.folder.file(TEXT_ENCODER), self.config.embedding_size
                encoder = Encoder(path, size, "tokens", gpu=has_gpu())
                words = self.config.words
                assert words is not None  # open_folder has checked it
                self._text_encoder = Tokenizer(self.folder.file(TOKENIZER), words.length, words.pad_id), encoder
            return self._text_encoder

    def open_location_encoder(self) -> LocationEncoder:
        """What encodes coordinates, which says what runs it. Raises ModelError when the model has none."""
        with self._lock:
            if self._location_encoder is None:
                phases = self.folder.file(LOCATION_PHASES) if self.folder.has(LOCATION_PHASES) else None
                choice = choose(self.folder, self._runtime, self._precision, "places")
                self._location_encoder = LocationEncoder(
                    phases,
                    choice.path,
                    self.config.embedding_size,
                    runtime=choice.runtime,
                    precision=choice.precision,
                    threads=choice.threads,
                    gpu=choice.gpu,
                )
            return self._location_encoder


def _or_raise(answer: Prediction | Failure) -> Prediction:
    if isinstance(answer, Failure):
        raise InputError(answer.error)
    return answer
