"""The front door: ``load(source)`` gives a Locator, which tells where pictures were taken and which places texts fit.

A Locator may be shared between threads; its encoders are loaded when first needed, and nothing is ever downloaded
by making one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
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
from earthclip.locating.ranking import RankedPictures, Ranking
from earthclip.locating.scope import Answerer, ScopeJudge, why_not_first
from earthclip.models import Precision, Runtime
from earthclip.models.config import GALLERY, IMAGE_ENCODER, ModelConfig
from earthclip.models.encoders import Encoder, LocationEncoder, Progress
from earthclip.models.fastest import Choice
from earthclip.models.folder import ModelFolder
from earthclip.models.measured import EncoderKind
from earthclip.models.opened import OpenedEncoders
from earthclip.models.race import ENCODERS
from earthclip.models.sources import ChosenModel, choose_model
from earthclip.pictures.prepare import Failure, Picture, Prepared, batches, check_list, outcome_of, read
from earthclip.pictures.preprocess import Preprocessing


def load(
    source: str | Path | ChosenModel | None = None,
    progress: Progress | None = None,
    runtime: Runtime = "auto",
    precision: Precision = "auto",
) -> Locator:
    """The model that ``source`` names: ``orbit``, ``geoclip``, the path of a model folder, or ``auto``.

    ``auto`` is ``geoclip`` if it is pulled, with ``orbit`` asked first about each picture if that can tell which ones
    are of its kind; otherwise ``orbit``. Without a source it is the model of earthclip.toml, else ``auto``.
    ``progress`` hears of (places encoded, places in all) when the gallery must be encoded, once for each model.
    ``runtime`` and ``precision`` are what it computes on and how exactly; "auto" is the fastest measured here whose
    embeddings keep a cosine of 0.999 (pictures) and 0.9999 (places) with float32's, see models/fastest.py.
    Raises ModelError for a model that is unknown, not here or incomplete, ConfigError for a wrong earthclip.toml.
    """
    locator: Locator | None = None
    for folder in choose_model(source).folders():
        locator = Locator(folder, progress, runtime, precision, first=locator)
    assert locator is not None
    return locator


class Locator:
    """A model that locates pictures and embeds pictures and coordinates; safe to share between threads.

    With ``first``, a model that can tell which pictures are of its kind, that one locates those. Everything else (other
    pictures, texts alone, embeddings, the configuration) is this model's.
    """

    def __init__(
        self,
        folder: ModelFolder,
        progress: Progress | None = None,
        runtime: Runtime = "auto",
        precision: Precision = "auto",
        first: Locator | None = None,
    ) -> None:
        self.folder, self.first = folder, first
        self._encoders = OpenedEncoders(folder, runtime, precision)
        self._progress = progress
        self._lock = threading.RLock()
        self._judge = ScopeJudge(folder)
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
                exact = self._encoders.precision == "float32" or self._encoders.runtime == "onnxruntime"
                self._gallery = open_gallery(self.folder, self.open_location_encoder, self._progress, exact=exact)
            return self._gallery

    @property
    def image_choice(self) -> Choice:
        """What the image encoder runs on, as long as this locator lives. Raises ModelError."""
        return self._encoders.image_choice

    def pin(self, image_choice: Choice) -> None:
        """Run the image encoder as an earlier run did, whatever is the fastest by now; before it is first used."""
        self._encoders.pin(image_choice)

    def measure_speed(
        self,
        told: Callable[[str], None] = lambda text: None,
        encoders: Sequence[EncoderKind] = ENCODERS,
        models: Sequence[Locator] | None = None,
    ) -> None:
        """Prepare for many inputs: measure, once, what runs the encoders fastest here, if "auto" may choose.

        ``told`` hears what is timed; ``models`` are those of ``models`` that will be ``asked`` (None: all).
        """
        for one in self.models if models is None else models:
            one._encoders.measure_missing(told, encoders)

    def warm_up(self, told: Callable[[str], None] = lambda text: None, models: Sequence[Locator] | None = None) -> None:
        """Open and measure all that locating needs of ``models`` (None: all), so that no answer waits for it."""
        self.measure_speed(told, models=models)
        for one in self.models if models is None else models:
            if one.folder.has(IMAGE_ENCODER):
                one._encoders.images()
            if one.folder.has(GALLERY):
                _ = one.gallery

    def encode_image(
        self, pictures: Sequence[Picture | Prepared | Failure], batch_size: int = 16, views: str = "none"
    ) -> Float32[np.ndarray, "n d"]:
        """Embeddings of pictures, in order; unit rows, or with ``views`` the mean of the views' unit rows.

        Logits are linear in the embedding, so that mean gives the mean of the views' logits, as the paper takes it.
        Raises InputError for the first picture that cannot be read.
        """
        return self.encode_image_with(self._encoders.images(), pictures, batch_size, views)

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
        preprocessing = self.folder.preprocessing
        rows = [np.empty((0, self.config.embedding_size), np.float32)]
        for batch in batches(enumerate(pictures), batch_size):
            pixels = np.stack([read(one, index, preprocessing, views).of(preprocessing) for index, one in batch])
            rows.append(encoder.encode_views(pixels))
        return np.concatenate(rows)

    def encode_text(self, texts: Sequence[str]) -> Float32[np.ndarray, "n d"]:
        """Unit embeddings of texts that describe a place, in order.

        Raises InputError for a text without words, ModelError when the model has no words, and MissingExtraError
        without the extra ``text``.
        """
        check_list(texts, "text")
        tokenizer, encoder = self._encoders.texts()
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
        models = self.asked(asked)
        answerer: Answerer | None = None
        for one in reversed(models):
            answerer = one._answerer(asked, answerer)
        assert answerer is not None
        models[0]._encoders.images()  # this model's own, which may be large, is opened for the first picture it gets
        return self._answers(pictures, batch_size, asked.views, self.also(models), answerer)

    def locate_text(
        self, texts: Sequence[str], question: Question | None = None, **fields: Unpack[QuestionFields]
    ) -> list[Prediction]:
        """The places each text fits, such as "snow-capped volcano"; raises as ``encode_text`` and ``locate`` do."""
        asked = (question or Question()).with_fields(fields)
        self._encoders.texts()
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

    @property
    def models(self) -> tuple[Locator, ...]:
        """The model that is asked first, if there is one, and this one."""
        return (self,) if self.first is None else (self.first, self)

    def asked(self, question: Question) -> tuple[Locator, ...]:
        """Those of ``models`` that are asked about pictures: a first one only where nothing speaks against it."""
        return self.models if self.first is not None and self.why_not_first(question) is None else (self,)

    def why_not_first(self, question: Question) -> str | None:
        """Why ``first`` is not asked this question; None where it is, or where there is none."""
        if self.first is None:
            return None
        return why_not_first(self.first.folder, self.first.check, question, self._encoders.precision)

    def also(self, models: Sequence[Locator]) -> tuple[Preprocessing, ...]:
        """What pictures need done to them for ``models``, beside what is done for this one."""
        own = self.folder.preprocessing
        return tuple(dict.fromkeys(p for one in models if (p := one.folder.preprocessing) != own))

    def _answerer(self, question: Question, otherwise: Answerer | None) -> Answerer:
        """What answers a batch of pictures; those that are not of this model's kind by ``otherwise``, if given."""
        text = None if question.text is None else self.encode_text([question.text])
        # The ranking waits for the first picture, since the first use of a gallery may have to encode it.
        ranked = RankedPictures(self._encoders, question, text, partial(self._ranking, question))
        return lambda pictures: self._judge.answers(pictures, question, ranked, otherwise)

    def _answers(
        self,
        pictures: Iterable[Picture | Prepared | Failure],
        batch_size: int,
        views: str,
        also: Sequence[Preprocessing],
        answerer: Answerer,
    ) -> Iterator[Prediction | Failure]:
        own = self.folder.preprocessing
        for batch in batches(enumerate(pictures), batch_size):
            outcomes = [outcome_of(picture, index, own, views, also) for index, picture in batch]
            predictions = iter(answerer([outcome for outcome in outcomes if isinstance(outcome, Prepared)]))
            for outcome in outcomes:
                yield outcome if isinstance(outcome, Failure) else next(predictions)

    def _ranking(self, question: Question) -> Ranking:
        return Ranking(question, self.config, self.gallery, self.encode_location)

    def _check_views(self, views: str) -> None:
        if views not in self.config.views:
            raise InputError(f"model '{self.name}' takes views {', '.join(self.config.views)}, found '{views}'")

    def open_location_encoder(self) -> LocationEncoder:
        """What encodes coordinates, which says what runs it. Raises ModelError when the model has none."""
        return self._encoders.places()


def _or_raise(answer: Prediction | Failure) -> Prediction:
    if isinstance(answer, Failure):
        raise InputError(answer.error)
    return answer
