"""Whether a picture is of the kind that a model locates, and the answer where it is not."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from earthclip.errors import EarthCLIPError
from earthclip.locating.prediction import Prediction
from earthclip.locating.question import Question
from earthclip.models import Precision
from earthclip.models.config import IMAGE_ENCODER_INT8, SCOPE, TEXT_ENCODER
from earthclip.models.encoders import ScopeHead
from earthclip.models.folder import ModelFolder
from earthclip.pictures.prepare import Prepared

Answerer: TypeAlias = Callable[[list[Prepared]], list[Prediction]]


class PictureScope(NamedTuple):
    """The probability that a picture is of the model's kind, and what to do with one that is not; None: not known."""

    probability: float | None = None
    advice: str | None = None


class ScopeJudge:
    """Judges pictures by a model's ``scope.onnx``, which is opened when first needed; safe to share between threads."""

    def __init__(self, folder: ModelFolder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._head: ScopeHead | None = None

    def scopes(self, pictures: list[Prepared]) -> list[PictureScope]:
        """The scope of each picture; nothing is known of it for a model without a head. Raises ModelError."""
        known, name = self._folder.config.scope, self._folder.config.name
        if known is None or not pictures:
            return [PictureScope()] * len(pictures)
        preprocessing = self._folder.preprocessing
        with self._lock:
            self._head = self._head or ScopeHead(self._folder.file(SCOPE))
        found = self._head.scopes(np.stack([picture.of(preprocessing) for picture in pictures])).tolist()
        advice = f"This does not look like {known.of}, which is all that '{name}' can locate"
        advice = f"{advice}; {known.instead}." if known.instead else f"{advice}."
        return [PictureScope(scope, advice if scope < known.threshold else None) for scope in found]

    def answers(
        self, pictures: list[Prepared], question: Question, ranked: Answerer, otherwise: Answerer | None = None
    ) -> list[Prediction]:
        """What ``ranked`` answers to the pictures in scope; the others go to ``otherwise``.

        Without that, they get advice instead of places, or if an answer is forced, both.
        """
        scopes = self.scopes(pictures)
        forced = question.force_answer and otherwise is None
        wanted = [forced or scope.advice is None for scope in scopes]
        places = iter(_answered(ranked, pictures, wanted))
        elsewhere = iter(_answered(otherwise, pictures, [not asks for asks in wanted]) if otherwise else ())
        return [
            replace(next(places), scope=scope.probability, advice=scope.advice)
            if asks
            else next(elsewhere)
            if otherwise
            else without_places(self._folder.config.name, picture, question, scope)
            for picture, asks, scope in zip(pictures, wanted, scopes, strict=True)
        ]


def _answered(answerer: Answerer, pictures: list[Prepared], wanted: list[bool]) -> list[Prediction]:
    asked = list(itertools.compress(pictures, wanted))
    return answerer(asked) if asked else []


def without_places(model: str, picture: Prepared, question: Question, scope: PictureScope) -> Prediction:
    """The answer to a picture that is out of scope."""
    return Prediction(
        picture.path,
        model,
        np.empty((0, 2)),
        np.empty(0),
        question.text,
        region=None if question.region is None else question.region.name,
        abstained=True,
        scope=scope.probability,
        advice=scope.advice,
    )


def why_not_first(
    folder: ModelFolder, check: Callable[[Question], None], question: Question, precision: Precision
) -> str | None:
    """Why the model cannot be asked a question at a precision, in one line; None where it can.

    ``check`` raises what locating with it would raise.
    """
    if folder.config.scope is None:
        return f"model '{folder.config.name}' cannot tell which pictures are of its kind"
    try:
        check(question)
        if question.text is not None:
            folder.file(TEXT_ENCODER)
        if precision == "int8":
            folder.file(IMAGE_ENCODER_INT8)
    except EarthCLIPError as error:
        return str(error)
    return None
