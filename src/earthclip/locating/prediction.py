"""What an answer is: a Prediction for a picture, words or both, or for a picture that failed, a Failure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from earthclip.locating.posterior import Posterior
from earthclip.locating.trust import CredibleRegion, Verdict, confidence, credible_regions, judge
from earthclip.pictures.prepare import Failure

if TYPE_CHECKING:
    from earthclip.geo.places import Place


@dataclass(frozen=True, eq=False)
class Prediction:
    """Where a picture was taken or words are true.

    ``coordinates`` [k, 2] are degrees, best first, with ``probabilities`` [k].
    """

    path: str | None  # None: the picture was given as an image, or there was none
    model: str
    coordinates: Float64[np.ndarray, "k 2"]
    probabilities: Float64[np.ndarray, " k"]
    text: str | None = None  # the words that were located, alone or together with the picture
    whole: Callable[[], Posterior] | None = field(default=None, repr=False)  # computes ``posterior``
    region: str | None = None  # the area that the answer was kept to
    min_confidence: float = 0.0  # what ``abstained`` asks for

    @cached_property
    def posterior(self) -> Posterior | None:
        """Every place of the model with its probability, computed when first asked for; None for answers read back."""
        return self.whole() if self.whole else None

    @cached_property
    def places(self) -> list[Place]:
        """Each of ``coordinates`` in words, such as "near Puno, Peru"."""
        from earthclip.geo.places import describe  # with its gazetteer it takes longer to open than an answer may

        return describe(self.coordinates)

    @cached_property
    def verdict(self) -> Verdict | None:
        """How far to trust the first place, in plain words; None for answers read back without it."""
        return judge(self.posterior, self.coordinates[0]) if self.posterior else None

    @cached_property
    def credible(self) -> list[CredibleRegion]:
        """The regions that hold 50 and 90 %; none for answers read back without them."""
        return credible_regions(self.posterior) if self.posterior else []

    @cached_property
    def region_share(self) -> float | None:
        """The probability that ``region`` holds without being asked for: next to none, and the answer is elsewhere."""
        return self.posterior.share if self.posterior and self.region is not None else None

    @cached_property
    def abstained(self) -> bool:
        """Whether the probability within 200 km of the first place is below ``min_confidence``."""
        if self.min_confidence <= 0 or not self.posterior:
            return False
        return confidence(self.posterior, self.coordinates[0]) < self.min_confidence

    @property
    def subject(self) -> str:
        """What was located, for people to read: path, words, or both."""
        words = f'"{self.text}"' if self.text is not None else None
        return " + ".join(part for part in (self.path, words) if part) or "(image)"

    @property
    def latitude(self) -> float:
        """Of the best place, in degrees."""
        return float(self.coordinates[0, 0])

    @property
    def longitude(self) -> float:
        """Of the best place, in degrees, in [-180, 180)."""
        return float(self.coordinates[0, 1])

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """The best place as a GeoJSON Feature, for shapely, geopandas and the like."""
        return {
            "type": "Feature",
            # GeoJSON is the one place outside outputs/ that puts longitude first (RFC 7946, section 3.1.1).
            "geometry": {"type": "Point", "coordinates": (self.longitude, self.latitude)},
            "properties": self.asked | {"model": self.model, "probability": float(self.probabilities[0])},
        }

    @property
    def asked(self) -> dict[str, str | None]:
        """What was asked about, under its names in JSON: ``path``, and ``text`` where there were words."""
        return {"path": self.path} | ({"text": self.text} if self.text is not None else {})


def name_places(answers: Iterable[Prediction | Failure]) -> None:
    """Find the ``places`` of all answers that have none yet, together: in half the time of one after the other."""
    unnamed = [answer for answer in answers if isinstance(answer, Prediction) and "places" not in vars(answer)]
    if unnamed:
        from earthclip.geo.places import describe

        found = iter(describe(np.concatenate([answer.coordinates for answer in unnamed])))
        for answer in unnamed:
            vars(answer)["places"] = list(itertools.islice(found, len(answer.coordinates)))
