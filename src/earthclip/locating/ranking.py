"""From embeddings to answers: a model's places ranked under a prior, within a region, refined between the places."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from jaxtyping import Float32, Float64

from earthclip.locating.gallery import Gallery
from earthclip.locating.posterior import Area, Posterior, adjustment, check_prior, check_top_k
from earthclip.locating.prediction import Prediction
from earthclip.locating.refinement import EncodeLocation, refine
from earthclip.locating.trust import check_confidence
from earthclip.models.config import ModelConfig


@dataclass(frozen=True)
class Terms:
    """On what terms places are ranked, the same for all pictures of a question.

    ``region`` keeps answers to an area, ``prior`` is "model" or "land" (prior.py), ``refine`` moves the best places
    to points between those of the gallery (refinement.py), and an answer whose confidence (verdict.py) is below
    ``min_confidence`` is marked as abstaining. Raises InputError for an unknown prior and a confidence outside [0, 1].
    """

    top_k: int = 5
    region: Area | None = None
    prior: str = "model"
    refine: bool = False
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        check_prior(self.prior)
        check_confidence(self.min_confidence)


class Ranking:
    """The places of one model for one question. Raises InputError for a region that holds none of them."""

    def __init__(
        self,
        terms: Terms,
        config: ModelConfig,
        coordinates: Float64[np.ndarray, "m 2"],
        gallery: Callable[[], Gallery],
        encode_location: EncodeLocation,
    ) -> None:
        check_top_k(terms.top_k, len(coordinates))
        self.places = len(coordinates)
        self._terms, self._config = terms, config
        self._open_gallery, self._encode_location = gallery, encode_location
        self._weights: Float64[np.ndarray, " m"] | None = None  # prior and region, as Posterior.reweighted takes them
        if terms.prior != "model" or terms.region is not None:
            arranged = gallery().place_cells if terms.prior != "model" else None
            self._weights = adjustment(terms.prior, config.prior, coordinates, terms.region, arranged)

    @cached_property
    def _gallery(self) -> Gallery:
        return self._open_gallery()  # at the first answer: a gallery may have to be encoded first

    def answers(
        self, embeddings: Float32[np.ndarray, "b d"], paths: Sequence[str | None], texts: Sequence[str | None]
    ) -> Iterator[Prediction]:
        """The Prediction of each embedding, with the path and the words it was made of."""
        rank = self._search if self._weights is None and not self._terms.refine else self._whole
        region = None if self._terms.region is None else self._terms.region.name
        for row, path, text in zip(rank(embeddings), paths, texts, strict=True):
            coordinates, logs, whole = row
            yield Prediction(
                path,
                self._config.name,
                coordinates,
                np.exp(logs),
                text,
                whole,
                region=region,
                min_confidence=self._terms.min_confidence,
            )

    def _search(self, embeddings: Float32[np.ndarray, "b d"]) -> Iterator[_Ranked]:
        """By the search that never holds all logits; the posteriors are for those who ask."""
        config, gallery = self._config, self._gallery
        found = gallery.search(embeddings, self._terms.top_k, config.logit_scale, config.temperature)
        posteriors = _Posteriors(self, embeddings)
        for row, (best, logs) in enumerate(zip(found.indices, found.log_probabilities, strict=True)):
            yield gallery.coordinates[best], logs, partial(posteriors, row)

    def _whole(self, embeddings: Float32[np.ndarray, "b d"]) -> Iterator[_Ranked]:
        """By the whole posterior, which a prior, a region and refinement need anyway."""
        terms, config = self._terms, self._config
        posteriors = _Posteriors(self, embeddings)
        for row, embedding in enumerate(embeddings):
            posterior = posteriors(row)
            best = posterior.best(terms.top_k)
            coordinates, logs = self._gallery.coordinates[best], posterior.log_probabilities[best]
            if terms.refine:
                coordinates, logs = refine(
                    embedding,
                    posterior,
                    self._encode_location,
                    logit_scale=config.logit_scale,
                    temperature=config.temperature,
                    top_k=terms.top_k,
                    region=terms.region,
                )
            yield coordinates, logs, partial(_same, posterior)

    def logits(self, embeddings: Float32[np.ndarray, "b d"]) -> Float32[np.ndarray, "b m"]:
        """Of every place."""
        return self._gallery.logits(embeddings, self._config.logit_scale)

    def posterior(self, logits: Float32[np.ndarray, " m"]) -> Posterior:
        """Under the prior and within the region."""
        config, gallery = self._config, self._gallery
        found = Posterior.from_logits(
            gallery.coordinates, logits, config.temperature, config.calibration, gallery.place_cells
        )
        return found if self._weights is None else found.reweighted(self._weights)


class _Posteriors:
    """Those of a batch's pictures: when one is asked for, the logits of several are computed together.

    Nearly all of that time goes into reading the gallery, once for all of them.
    """

    def __init__(self, ranking: Ranking, embeddings: Float32[np.ndarray, "b d"]) -> None:
        self._ranking, self._embeddings = ranking, embeddings
        self._lock = threading.Lock()
        self._first, self._logits = 0, np.empty((0, 0), np.float32)

    def __call__(self, row: int) -> Posterior:
        with self._lock:
            if not self._first <= row < self._first + len(self._logits):
                at_once = max(1, _LOGITS // self._ranking.places)
                self._first, self._logits = row, self._ranking.logits(self._embeddings[row : row + at_once])
            logits = self._logits[row - self._first]
        return self._ranking.posterior(logits)


def _same(posterior: Posterior) -> Posterior:
    return posterior


_LOGITS = 2_000_000  # that are held at once, 8 MB
_Ranked = tuple[Float64[np.ndarray, "k 2"], Float64[np.ndarray, " k"], Callable[[], Posterior]]
