"""What an answer is: the places of a picture, a text or both, with how far to trust them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64

from earthclip.errors import InputError, readable, visible
from earthclip.geo.cells import cells_text
from earthclip.locating.evidence import ReferencePhoto
from earthclip.locating.posterior import Posterior
from earthclip.locating.trust import CredibleRegion, Verdict

if TYPE_CHECKING:
    from earthclip.geo.places import Place


@runtime_checkable  # so that the checks of signatures in tests can see it
class Scorer(Protocol):
    """What scores an embedding against every candidate place; ``ranking.Ranking`` is one."""

    def posterior_of(self, embedding: Float32[np.ndarray, " d"]) -> Posterior:
        """Every candidate place with its probability."""


_DOUBTFUL = 0.05  # the share of the region below which the picture was probably taken elsewhere


@dataclass(frozen=True)
class AnswerWarning:
    """One sentence to read before the answer.

    ``kind`` is "model" (what the model is for), "region" (the unrestricted model expects the place outside the region
    asked for), "scope" (the picture is not of the model's kind) or "abstained" (less confidence than was asked for).
    """

    kind: Literal["model", "region", "scope", "abstained"]
    text: str


@dataclass(frozen=True, eq=False)
class Prediction:
    """Where a picture was taken, or which places a text fits.

    ``coordinates`` [k, 2] are degrees (latitude, longitude), best first, with ``probabilities`` [k]. ``confidence`` is
    the probability within 200 km of the first place; ``credible`` are the regions that hold 50 and 90 %. These and
    ``verdict`` are None or empty for answers read back from a file that lacks them.

    ``scope`` is the probability that the picture is of the model's kind, where the model can tell. ``advice`` says what
    to do with one that is not; it has no places (k is 0), unless an answer was forced.
    """

    path: str | None  # None: the picture was given as an image, or there was none
    model: str
    coordinates: Float64[np.ndarray, "k 2"]
    probabilities: Float64[np.ndarray, " k"]
    text: str | None = None  # what was located, alone or together with the picture
    named: tuple[Place, ...] = field(default=(), repr=False)  # ``places``, where they are known already
    verdict: Verdict | None = None
    confidence: float | None = None
    credible: tuple[CredibleRegion, ...] = ()
    region: str | None = None  # the area that the answer was kept to
    region_share: float | None = None  # what the region holds without being asked for: next to none, and it is wrong
    sources: tuple[str, ...] = ()  # what it came from, such as ("picture", "track"); empty: the picture or text alone
    abstained: bool = False  # less confidence than was asked for, or out of scope
    scope: float | None = None
    advice: str | None = None
    caution: str | None = None  # of the model: what it is for, and what not
    references: tuple[ReferencePhoto, ...] = field(default=(), repr=False)  # of the indices, most similar first
    embedding: Float32[np.ndarray, " d"] | None = field(default=None, repr=False)
    scorer: Scorer | None = field(default=None, repr=False)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Each of ``coordinates`` in words, such as "near Puno, Peru"."""
        if self.named:
            return self.named
        from earthclip.geo.places import describe  # with its gazetteer it takes longer to open than an answer may

        return tuple(describe(self.coordinates))

    @property
    def warnings(self) -> tuple[AnswerWarning, ...]:
        """What to read before the answer: the model's caution, a conflict with the region, an abstention."""
        found = []
        if self.caution is not None:
            found.append(AnswerWarning("model", f"Caution: {self.caution.rstrip('.')}."))
        if self.region_share is not None and self.region_share < _DOUBTFUL:
            region, share = visible(readable(self.region or "the region")), percent_text(self.region_share)
            elsewhere = "the picture was probably taken elsewhere."
            found.append(
                AnswerWarning("region", f"Warning: the unrestricted model gives {region} {share}; {elsewhere}")
            )
        if self.advice is not None:
            found.append(AnswerWarning("scope", self.advice))
        elif self.abstained:
            found.append(
                AnswerWarning("abstained", "No answer: the confidence is below the minimum that was asked for.")
            )
        return tuple(found)

    @property
    def posterior(self) -> Posterior | None:
        """Every candidate place with its probability, scored again at each use; None for answers read back.

        A prediction keeps its embedding and not the scores, so that a list of thousands fits in memory.
        """
        return None if self.scorer is None or self.embedding is None else self.scorer.posterior_of(self.embedding)

    @property
    def in_scope(self) -> bool | None:
        """Whether the picture is of the model's kind; None where the model cannot tell."""
        return None if self.scope is None else self.advice is None

    @property
    def subject(self) -> str:
        """What was located, for people to read: path, text, or both."""
        text = f'"{self.text}"' if self.text is not None else None
        return " + ".join(part for part in (self.path, text) if part) or "(image)"

    @property
    def latitude(self) -> float:
        """Latitude of the best place, in degrees. Raises InputError for an answer without places."""
        return float(self._best[0])

    @property
    def longitude(self) -> float:
        """Longitude of the best place, in degrees, in [-180, 180). Raises InputError as ``latitude`` does."""
        return float(self._best[1])

    @property
    def _best(self) -> Float64[np.ndarray, " 2"]:
        if not len(self.coordinates):
            raise InputError(f"{self.subject}: has no place; {self.advice or 'look at len(coordinates) first'}")
        best: Float64[np.ndarray, " 2"] = self.coordinates[0]
        return best

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """The best place as a GeoJSON Feature, for shapely, geopandas and the like; no geometry without one."""
        asked: dict[str, Any] = self.asked | {"model": self.model}
        if not len(self.coordinates):
            return {"type": "Feature", "geometry": None, "properties": asked}
        return {
            "type": "Feature",
            # GeoJSON is the one place outside outputs/ that puts longitude first (RFC 7946, section 3.1.1).
            "geometry": {"type": "Point", "coordinates": (self.longitude, self.latitude)},
            "properties": asked | {"probability": float(self.probabilities[0])},
        }

    @property
    def asked(self) -> dict[str, str | None]:
        """What was asked about, under its names in JSON: ``path``, and ``text`` where there was one."""
        return {"path": self.path} | ({"text": self.text} if self.text is not None else {})

    def to_dict(self, *, cells: bool = False) -> dict[str, Any]:
        """The answer as plain JSON values, the very object of the formats json and jsonl.

        Degrees have 6 decimals (0.1 m), probabilities 6 digits. What the answer does not have (warnings, verdict,
        credible regions, region) is left out. With ``cells`` each credible region also has its HEALPix cells.
        """
        predictions: list[dict[str, Any]] = [
            {"latitude": latitude, "longitude": longitude, "probability": probability, "place": place.to_dict()}
            for (latitude, longitude, probability), place in zip(rounded(self), self.places, strict=True)
        ]
        said = {"warnings": [vars(warning) for warning in self.warnings]} if self.warnings else {}
        return self.asked | {"model": self.model} | said | {"predictions": predictions} | trust(self, cells=cells)


def trust(answer: Prediction, *, cells: bool = False) -> dict[str, Any]:
    """How far to trust the answer: ``verdict``, ``credible``, ``region``, ``sources``, ..., where available."""
    values: dict[str, Any] = {}
    if (verdict := answer.verdict) is not None:
        values["verdict"] = {
            "level": verdict.level,
            "radius_km": verdict.radius_km,
            "mass": digits(verdict.mass),
            "sentence": verdict.sentence,
        }
    if answer.credible:
        values["credible"] = [
            {"mass": float(region.mass), "area_km2": digits(region.area_km2)}
            | ({"cells": cells_text(region.cells, region.level)} if cells else {})
            for region in answer.credible
        ]
    if answer.region is not None:
        values["region"] = answer.region
        if answer.region_share is not None:
            values["region_share"] = digits(answer.region_share)
    if answer.scope is not None:
        values |= {"in_scope": answer.in_scope, "scope": digits(answer.scope)}
    if answer.advice is not None:
        values["advice"] = answer.advice
    if answer.sources:
        values["sources"] = list(answer.sources)
    if answer.abstained:
        values["abstained"] = True
    if answer.references:
        values["references"] = [photo.to_dict() for photo in answer.references]
    return values


def rounded(answer: Prediction) -> list[tuple[float, float, float]]:
    """Rows of (latitude, longitude, probability), best first, rounded to meaningful digits."""
    rows = zip(answer.coordinates.tolist(), answer.probabilities.tolist(), strict=True)
    return [
        (round(latitude, 6), round(longitude, 6), digits(probability)) for (latitude, longitude), probability in rows
    ]


def digits(value: float) -> float:
    """``value`` to 6 digits."""
    return float(f"{value:.6g}")


def percent_text(probability: float) -> str:
    """A probability for people: "41.2 %", "< 0.1 %"."""
    return "< 0.1 %" if probability < 0.0005 else f"{100 * probability:.1f} %"
