"""What photos with known places add to a model's scores: places near photos that look alike gain.

The probability of a place x is multiplied by 1 + b * sum of p_j * k(x, x_j), over the photos j most similar to the
picture. Here k falls from 1 with the distance from the photo, the shares p_j sum to 1, and b grows with the similarity
of the best photo. It is 0 where no photo is similar, and then nothing changes. No place ever loses more than what the
others gain. A photo's own place joins the candidates, with what the photos add and not with the 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64

from earthclip.errors import ConfigError
from earthclip.geo.sphere import EARTH_RADIUS_KM, unit_vectors
from earthclip.models.config import Calibration
from earthclip.models.folder import ModelFolder

NEIGHBOURS = 50  # photos that are looked at for each picture
CANDIDATES = 500  # the photos of the largest cosines, of which those are chosen
_LEAST_SHARE = 1e-3  # of the evidence; photos with less are left out
_ONE_PLACE = 0.1  # of the width; photos nearer to a better one are one candidate with it


@dataclass(frozen=True)
class Weights:
    """How much the photos of an index count. Raises ConfigError for values outside their range.

    ``weight`` is the most that photos add to the score of a place, in nats: its probability is multiplied by up to
    exp(weight). Photos count from the cosine ``least_similarity`` on, and fully at 1. Of the most similar photos each
    has a share of softmax(``sharpness`` * cosine). ``width_km`` is the standard deviation of the distance over which a
    photo counts. ``whitened`` is how many of the index's first photos say what all have in common, which then counts
    less (whitening.py); 0 compares embeddings as they are. ``conformal`` and ``measured`` are those of a Calibration,
    for answers to which photos added.

    The defaults are for an index that nobody has calibrated. They are cautious: only photos that look almost the same
    count, and they cannot overrule a model that is sure.
    """

    weight: float = 3.0
    least_similarity: float = 0.9
    sharpness: float = 30.0
    width_km: float = 25.0
    whitened: int = 0
    conformal: dict[str, float] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (0 <= self.weight <= 50 and 0 <= self.sharpness <= 1000):
            raise ConfigError(f"weight must be 0 to 50 and sharpness 0 to 1000, found {self.weight}, {self.sharpness}")
        if not (-1 <= self.least_similarity < 1 and 0 < self.width_km < math.inf):
            found = f"{self.least_similarity}, {self.width_km}"
            raise ConfigError(f"least_similarity must be -1 to below 1 and width_km above 0, found {found}")

    @property
    def calibration(self) -> Calibration | None:
        """What was measured of answers to which photos added something; None where nothing was."""
        return Calibration(self.conformal, self.measured) if self.conformal else None


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The photos most similar to a picture, best first: ``rows`` [k] of the index, and cosines ``similarities`` [k]."""

    rows: Int64[np.ndarray, " k"]
    similarities: Float64[np.ndarray, " k"]


@runtime_checkable  # so that the checks of signatures in tests can see it
class References(Protocol):
    """What is asked of an index of photos; ``photo_index.PhotoIndex`` is one."""

    coordinates: Float64[np.ndarray, "n 2"]

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def weights(self) -> Weights:
        """How much its photos count."""

    @property
    def fingerprint(self) -> str:
        """What tells it from another index, and from itself at another time."""

    def search(self, embeddings: Float32[np.ndarray, "b d"], paths: Sequence[str | None]) -> list[Neighbours]:
        """The photos most similar to each picture of a batch."""

    def check_model(self, folder: ModelFolder) -> None:
        """Raise InputError unless the embeddings are of this model."""

    def record(self, row: int) -> Any:
        """What is known of a photo: ``id``, ``path``, ``author``, ``taken``."""


@dataclass(frozen=True)
class ReferencePhoto:
    """A photo that an answer is near to: its ``similarity`` (cosine of embeddings, whitened where the index's weights
    say so), place in degrees, and ``share``: how much of what the photos of its index added came from it; 0 where it
    was not similar enough."""

    index: str
    id: str
    path: str | None
    similarity: float
    share: float
    latitude: float
    longitude: float
    taken: str | None = None
    author: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As in the outputs; degrees to 6 decimals, the other numbers to 4."""
        decimals = {"similarity": 4, "share": 4, "latitude": 6, "longitude": 6}
        return {name: round(value, decimals[name]) if name in decimals else value for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the photos of one index say of a picture: ``coordinates`` [k, 2] in degrees and ``shares`` [k] of those that
    count, most similar first; ``gain`` is what the probability of a place is multiplied by, less 1, where all agree."""

    coordinates: Float64[np.ndarray, "k 2"]
    shares: Float64[np.ndarray, " k"]
    gain: float
    width_km: float
    calibration: Calibration | None = None

    def at(self, vectors: Float64[np.ndarray, "m 3"]) -> Float64[np.ndarray, " m"]:
        """What is added to the 1 that the probability of each place, a unit vector, is multiplied by."""
        photos = unit_vectors(self.coordinates)
        sharpness = (EARTH_RADIUS_KM / self.width_km) ** 2
        added = np.zeros(len(vectors))
        for photo, share in zip(photos, self.shares, strict=True):
            added += share * np.exp(sharpness * (np.minimum(vectors @ photo, 1.0) - 1.0))
        return self.gain * added

    @property
    def places(self) -> Float64[np.ndarray, "c 2"]:
        """The candidates: the places of the photos, of those close together that of the most similar."""
        cosines = unit_vectors(self.coordinates) @ unit_vectors(self.coordinates).T
        near = cosines > math.cos(min(_ONE_PLACE * self.width_km / EARTH_RADIUS_KM, math.pi))
        chosen: list[int] = []
        for photo in range(len(near)):
            if not near[photo, chosen].any():
                chosen.append(photo)
        return self.coordinates[chosen]


def evidence_of(found: Neighbours, coordinates: Float64[np.ndarray, "n 2"], weights: Weights) -> Evidence | None:
    """What the photos say that were found; None where none is similar enough. ``coordinates`` are the index's."""
    shares = shares_of(found, weights)
    counted = shares > 0
    if not counted.any():
        return None
    strength = min(1.0, (float(found.similarities[0]) - weights.least_similarity) / (1 - weights.least_similarity))
    gain = strength * math.expm1(weights.weight)
    places = coordinates[found.rows[counted]]
    return Evidence(places, shares[counted], gain, weights.width_km, weights.calibration)


def shares_of(found: Neighbours, weights: Weights) -> Float64[np.ndarray, " k"]:
    """The share that each photo has in what all add; 0 for all where the best is not similar enough."""
    similarities = found.similarities
    if not len(similarities) or similarities[0] <= weights.least_similarity or weights.weight == 0:
        return np.zeros(len(similarities))
    shares = np.exp(weights.sharpness * (similarities - similarities[0]))
    shares = np.where(shares >= _LEAST_SHARE * shares.sum(), shares, 0.0)
    return np.asarray(shares / shares.sum())


def reference_photos(found: Neighbours, index: References, most: int) -> list[ReferencePhoto]:
    """The first ``most`` of the photos that were found, with what is known of them."""
    shares = shares_of(found, index.weights)
    photos = []
    for row, similarity, share in zip(found.rows[:most].tolist(), found.similarities.tolist(), shares, strict=False):
        record, (latitude, longitude) = index.record(row), index.coordinates[row].tolist()
        photos.append(
            ReferencePhoto(
                index.name,
                record.id,
                record.path,
                similarity,
                float(share),
                latitude,
                longitude,
                record.taken,
                record.author,
            )
        )
    return photos
