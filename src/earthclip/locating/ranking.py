"""From embeddings to answers: one pass over a model's candidate places for a batch, and all that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64

from earthclip.geo.motion import Whereabouts
from earthclip.locating.gallery import Gallery
from earthclip.locating.movement import Moved, moved
from earthclip.locating.posterior import Posterior, adjustment, normalised
from earthclip.locating.prediction import Prediction
from earthclip.locating.question import Question
from earthclip.locating.refinement import EncodeLocation, refine
from earthclip.locating.trust import credible_regions, judge
from earthclip.models.config import ModelConfig

_LOGITS = 16_000_000  # held at once: 64 MB, or 160 pictures and 100,000 places


class Ranking:
    """One model's candidate places, ranked for one question. Raises InputError for a region that holds none of them."""

    def __init__(
        self, question: Question, config: ModelConfig, gallery: Gallery, encode_location: EncodeLocation
    ) -> None:
        self._question, self._config, self._gallery = question, config, gallery
        self._encode_location = encode_location
        # Prior and region together, as Posterior.reweighted takes them; None where neither was asked for.
        self._log_weights: Float64[np.ndarray, " m"] | None = None
        if question.prior != "model" or question.region is not None:
            arranged = gallery.place_cells if question.prior != "model" else None
            self._log_weights = adjustment(question.prior, config.prior, gallery.coordinates, question.region, arranged)
        weights = np.zeros(len(gallery)) if self._log_weights is None else self._log_weights
        self._log_prior = normalised(weights) if question.whereabouts is not None else weights

    def answers(
        self, embeddings: Float32[np.ndarray, "b d"], paths: Sequence[str | None], texts: Sequence[str | None]
    ) -> list[Prediction]:
        """The Prediction of each embedding, with the path and the text it was made of."""
        answers = []
        at_once = max(1, _LOGITS // len(self._gallery))
        for first in range(0, len(embeddings), at_once):
            logits = self._logits(embeddings[first : first + at_once])  # [n, m]
            for row, scores in enumerate(logits, start=first):
                answers.append(self._answer(self._posterior(scores), embeddings[row], paths[row], texts[row]))
        return _named(answers) if self._question.names else answers

    def posterior_of(self, embedding: Float32[np.ndarray, " d"]) -> Posterior:
        """Every candidate place with its probability, under the prior and within the region."""
        return self._posterior(self._logits(embedding[None])[0])

    def moved_of(self, embedding: Float32[np.ndarray, " d"], known: Sequence[Whereabouts]) -> Moved:
        """As ``posterior_of``, multiplied with what the picture's time tells."""
        return self._moved(self.posterior_of(embedding), embedding, known)

    def _moved(self, posterior: Posterior, embedding: Float32[np.ndarray, " d"], known: Sequence[Whereabouts]) -> Moved:
        scale = np.exp(self._config.logit_scale) / self._config.temperature

        def evidence(coordinates: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, " n"]:
            return np.asarray(scale * (self._encode_location(coordinates) @ embedding), np.float64)

        return moved(posterior, self._log_prior, known, evidence, self._question.region)

    def _logits(self, embeddings: Float32[np.ndarray, "b d"]) -> Float32[np.ndarray, "b m"]:
        return self._gallery.logits(embeddings, self._config.logit_scale)

    def _posterior(self, logits: Float32[np.ndarray, " m"]) -> Posterior:
        config, gallery = self._config, self._gallery
        posterior = Posterior.from_logits(
            gallery.coordinates, logits, config.temperature, config.calibration, gallery.place_cells
        )
        return posterior if self._log_weights is None else posterior.reweighted(self._log_weights)

    def _answer(
        self, posterior: Posterior, embedding: Float32[np.ndarray, " d"], path: str | None, text: str | None
    ) -> Prediction:
        question, config = self._question, self._config
        known = question.whereabouts.of(path) if question.whereabouts is not None else ()
        if known:
            with_time = self._moved(posterior, embedding, known)
            posterior, (coordinates, probabilities) = with_time.posterior, with_time.top_k(question.top_k)
        elif question.refine:
            coordinates, log_probabilities = refine(
                embedding,
                posterior,
                self._encode_location,
                logit_scale=config.logit_scale,
                temperature=config.temperature,
                top_k=question.top_k,
                region=question.region,
            )
            probabilities = np.exp(log_probabilities)
        else:
            coordinates, probabilities = posterior.top_k(question.top_k)
        verdict, confidence = judge(posterior, coordinates[0])
        return Prediction(
            path,
            config.name,
            coordinates,
            probabilities,
            text,
            verdict=verdict,
            confidence=confidence,
            credible=tuple(credible_regions(posterior)),
            region=None if question.region is None else question.region.name,
            region_share=None if question.region is None else posterior.share,
            sources=("picture", *dict.fromkeys(name for one in known for name in one.sources)) if known else (),
            abstained=confidence < question.min_confidence,
            caution=config.caution,
            embedding=embedding,
            scorer=_WithTime(self, known) if known else self,
        )


@dataclass(frozen=True)
class _WithTime:
    """Scores the embedding of a picture whose time tells where it was."""

    ranking: Ranking
    known: Sequence[Whereabouts]

    def posterior_of(self, embedding: Float32[np.ndarray, " d"]) -> Posterior:
        """Every candidate place with its probability."""
        return self.ranking.moved_of(embedding, self.known).posterior


def _named(answers: list[Prediction]) -> list[Prediction]:
    """The answers with their places in words, found together: in half the time of one after the other."""
    if not answers:
        return answers
    from earthclip.geo.places import describe  # with its gazetteer it takes longer to open than an answer may

    places = describe(np.concatenate([answer.coordinates for answer in answers]))
    ends = np.cumsum([len(answer.coordinates) for answer in answers]).tolist()
    return [
        replace(answer, named=tuple(places[end - len(answer.coordinates) : end]))
        for answer, end in zip(answers, ends, strict=True)
    ]
