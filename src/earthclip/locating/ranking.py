"""From embeddings to answers: one pass over a model's candidate places for a batch, and all that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64

from earthclip.geo.cells import DEEPEST, level_of_width
from earthclip.geo.motion import Whereabouts
from earthclip.geo.sphere import unit_vectors
from earthclip.locating.evidence import Evidence, ReferencePhoto, evidence_of, reference_photos
from earthclip.locating.gallery import Gallery
from earthclip.locating.movement import Moved, moved
from earthclip.locating.posterior import Posterior, adjustment, log_prior, normalised
from earthclip.locating.prediction import Prediction
from earthclip.locating.question import Question
from earthclip.locating.refinement import EncodeLocation, refine
from earthclip.locating.trust import credible_regions, judge
from earthclip.models.config import ModelConfig
from earthclip.models.opened import OpenedEncoders
from earthclip.pictures.prepare import Prepared

_REFERENCES = 5  # photos that an answer names
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
        self._log_share: Float64[np.ndarray, " m"] | None = None
        if question.index:  # the prior alone, which places beside the gallery's share with the nearest of them
            self._log_share = log_prior(question.prior, config.prior, gallery.coordinates, gallery.place_cells)

    def answers(
        self, embeddings: Float32[np.ndarray, "b d"], paths: Sequence[str | None], texts: Sequence[str | None]
    ) -> list[Prediction]:
        """The Prediction of each embedding, with the path and the text it was made of."""
        answers = []
        at_once = max(1, _LOGITS // len(self._gallery))
        alike = self._alike(embeddings, paths)
        for first in range(0, len(embeddings), at_once):
            logits = self._logits(embeddings[first : first + at_once])  # [n, m]
            for row, scores in enumerate(logits, start=first):
                posterior = self._posterior(scores, embeddings[row], alike[row].evidence)
                answers.append(self._answer(posterior, embeddings[row], paths[row], texts[row], alike[row]))
        return _named(answers) if self._question.names else answers

    def posterior_of(self, embedding: Float32[np.ndarray, " d"], evidence: Sequence[Evidence] = ()) -> Posterior:
        """Every candidate place with its probability, under the prior, within the region and with what photos add."""
        return self._posterior(self._logits(embedding[None])[0], embedding, evidence)

    def _alike(self, embeddings: Float32[np.ndarray, "b d"], paths: Sequence[str | None]) -> list[_Alike]:
        """What the indices of photos that were asked for say of each picture."""
        found = [(index, index.search(embeddings, paths)) for index in self._question.indices]
        alike = []
        for row in range(len(embeddings)):
            photos = [photo for index, near in found for photo in reference_photos(near[row], index, _REFERENCES)]
            said = [evidence_of(near[row], index.coordinates, index.weights) for index, near in found]
            photos.sort(key=lambda photo: (-photo.share, -photo.similarity))
            alike.append(_Alike(self, tuple(photos[:_REFERENCES]), tuple(one for one in said if one is not None)))
        return alike

    def moved_of(
        self, embedding: Float32[np.ndarray, " d"], known: Sequence[Whereabouts], said: Sequence[Evidence] = ()
    ) -> Moved:
        """As ``posterior_of``, multiplied with what the picture's time tells."""
        return self._moved(self.posterior_of(embedding, said), embedding, known, said)

    def _moved(
        self,
        posterior: Posterior,
        embedding: Float32[np.ndarray, " d"],
        known: Sequence[Whereabouts],
        said: Sequence[Evidence],
    ) -> Moved:
        scale = np.exp(self._config.logit_scale) / self._config.temperature

        def evidence(coordinates: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, " n"]:
            found = np.asarray(scale * (self._encode_location(coordinates) @ embedding), np.float64)
            vectors = unit_vectors(coordinates)
            return found + np.log1p(np.sum([one.at(vectors) for one in said], axis=0)) if said else found

        return moved(posterior, self._prior_of(posterior), known, evidence, self._question.region, len(self._gallery))

    def _prior_of(self, posterior: Posterior) -> Float64[np.ndarray, " m_plus_c"]:
        """The prior of the gallery's places and of those of photos, which have that of the nearest in the gallery."""
        m = len(self._gallery)
        if len(posterior.coordinates) == m:
            return self._log_prior
        share = np.zeros(m) if self._log_share is None else self._log_share
        vectors = unit_vectors(posterior.coordinates[m:])
        logs = np.concatenate([share, share[(vectors @ self._gallery.place_cells.vectors.T).argmax(axis=1)]])
        return normalised(np.where(np.isfinite(posterior.log_probabilities), logs, -np.inf))

    def _logits(self, embeddings: Float32[np.ndarray, "b d"]) -> Float32[np.ndarray, "b m"]:
        return self._gallery.logits(embeddings, self._config.logit_scale)

    def _posterior(
        self, logits: Float32[np.ndarray, " m"], embedding: Float32[np.ndarray, " d"], evidence: Sequence[Evidence]
    ) -> Posterior:
        config, gallery = self._config, self._gallery
        if evidence:
            return self._with_photos(logits, embedding, evidence)
        posterior = Posterior.from_logits(
            gallery.coordinates, logits, config.temperature, config.calibration, gallery.place_cells
        )
        return posterior if self._log_weights is None else posterior.reweighted(self._log_weights)

    def _with_photos(
        self, logits: Float32[np.ndarray, " m"], embedding: Float32[np.ndarray, " d"], evidence: Sequence[Evidence]
    ) -> Posterior:
        """The posterior over the gallery's places and those of photos, see evidence.py."""
        config, gallery = self._config, self._gallery
        places = np.concatenate([one.places for one in evidence])
        levels = [np.full(len(one.places), min(DEEPEST, level_of_width(one.width_km))) for one in evidence]
        arranged = gallery.place_cells.joined(places, np.concatenate(levels))
        added = np.sum([one.at(arranged.vectors) for one in evidence], axis=0)
        at_photos = np.exp(config.logit_scale) * (self._encode_location(places) @ embedding)
        m = len(logits)
        log_added = np.concatenate([np.log1p(added[:m]), np.log(added[m:])])
        scores = np.concatenate([logits, at_photos]) + config.temperature * log_added
        calibration = next((one.calibration for one in evidence if one.calibration), config.calibration)
        posterior = Posterior.from_logits(
            np.concatenate([gallery.coordinates, places]), scores, config.temperature, calibration, arranged
        )
        if self._log_share is not None:
            nearest = (arranged.vectors[m:] @ gallery.place_cells.vectors.T).argmax(axis=1)
            posterior = posterior.reweighted(np.concatenate([self._log_share, self._log_share[nearest]]))
        return posterior if self._question.region is None else posterior.within(self._question.region)

    def _answer(
        self,
        posterior: Posterior,
        embedding: Float32[np.ndarray, " d"],
        path: str | None,
        text: str | None,
        alike: _Alike,
    ) -> Prediction:
        question, config = self._question, self._config
        known = question.whereabouts.of(path) if question.whereabouts is not None else ()
        if known:
            with_time = self._moved(posterior, embedding, known, alike.evidence)
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
            references=alike.photos,
            embedding=embedding,
            scorer=_WithTime(self, known, alike.evidence) if known else alike if alike.evidence else self,
        )


class RankedPictures:
    """Encodes batches of pictures and ranks places for them, joined with the embedding [1, d] of a text if given.

    Encoder and ranking are opened for the first batch: that may take long, and there may never be one.
    """

    def __init__(
        self,
        encoders: OpenedEncoders,
        question: Question,
        text: Float32[np.ndarray, "1 d"] | None,
        open_ranking: Callable[[], Ranking],
    ) -> None:
        self._encoders, self._question, self._text = encoders, question, text
        self._open_ranking = open_ranking
        self._ranking: Ranking | None = None

    def __call__(self, pictures: list[Prepared]) -> list[Prediction]:
        """The Prediction of each. Raises ModelError."""
        self._ranking = self._ranking or self._open_ranking()
        preprocessing, weight = self._encoders.folder.preprocessing, self._question.text_weight
        pixels = np.stack([picture.of(preprocessing) for picture in pictures])
        embeddings = self._encoders.images().encode_views(pixels)  # [b, d]
        if self._text is not None:
            embeddings = np.float32(1 - weight) * embeddings + np.float32(weight) * self._text
        paths = [picture.path for picture in pictures]
        return self._ranking.answers(embeddings, paths, [self._question.text] * len(pictures))


@dataclass(frozen=True)
class _WithTime:
    """Scores the embedding of a picture whose time tells where it was."""

    ranking: Ranking
    known: Sequence[Whereabouts]
    said: Sequence[Evidence]

    def posterior_of(self, embedding: Float32[np.ndarray, " d"]) -> Posterior:
        """Every candidate place with its probability."""
        return self.ranking.moved_of(embedding, self.known, self.said).posterior


@dataclass(frozen=True, eq=False)
class _Alike:
    """The photos most like a picture, and what they say; scores its embedding with that."""

    ranking: Ranking
    photos: tuple[ReferencePhoto, ...]
    evidence: tuple[Evidence, ...]

    def posterior_of(self, embedding: Float32[np.ndarray, " d"]) -> Posterior:
        """Every candidate place with its probability."""
        return self.ranking.posterior_of(embedding, self.evidence)


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
