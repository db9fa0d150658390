"""Answers with all that an answer may have, made without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from earthclip.geo.places import Place
from earthclip.locating.posterior import Posterior
from earthclip.locating.prediction import Prediction
from earthclip.locating.trust import CredibleRegion, Level, Verdict
from earthclip.pictures.prepare import Failure
from tests.locating.posteriors import Fixed

PLACES = np.array([[37.7510123456, 14.9934], [-38.1, -179.99999]])
NAMED = [
    Place("Catania", "Sicily", "Italy", "IT", 27.04, "near Catania, Italy"),
    Place("Opotiki", None, None, None, 210.0, "in the Pacific Ocean, 210 km from Opotiki, New Zealand"),
]
HOSTILE = "</name><script>&\"'\x00\x1b[2J\udcff]]>.jpg"


@dataclass(frozen=True)
class FakeVerdict(Verdict):
    level: Level | None = "region"
    radius_km: float | None = 200.0
    mass: float = 0.61234567

    @property
    def sentence(self) -> str:
        return "Within 200 km of <the best place>." if self.level else "Nowhere in particular."


class FakeRegion(CredibleRegion):
    """A square with a hole, wound the wrong way, and one on the other side of the antimeridian."""

    def __init__(self, mass: float, area_km2: float, level: int = 2, cells: Any = None) -> None:
        super().__init__(mass, level, np.array([3, 1, 2, 9]) if cells is None else cells, area_km2)

    def polygons(self) -> shapely.MultiPolygon:
        square = shapely.box(176.0, -40.0, 180.0, -36.0, ccw=False)
        hole = shapely.box(177.0, -39.0, 178.0, -38.0)
        return shapely.MultiPolygon([square.difference(hole), shapely.box(-180.0, -40.0, -179.0, -36.0, ccw=False)])


def full(path: str | None = "etna.jpg", **known: Any) -> Prediction:
    """Etna, with a posterior; ``known`` replaces fields."""
    logits = np.array([0.0, -1.0])
    posterior = Posterior.from_logits(PLACES, logits)
    regions = (FakeRegion(0.5, 123456.7), FakeRegion(0.9, 2345678.9))
    fields: dict[str, Any] = {"named": tuple(NAMED), "verdict": FakeVerdict(), "credible": regions}
    if known.get("region") is not None:
        fields["region_share"] = 1.0
    scored = {"embedding": np.zeros(1, np.float32), "scorer": Fixed(posterior)}
    model = known.pop("model", "orbit")
    return Prediction(path, model, PLACES, np.array([0.41234567, 1e-9]), **fields | scored | known)


def bare(path: str | None = "bare.jpg") -> Prediction:
    """As an answer was before anything but places could be known of it."""
    return full(path, verdict=None, credible=())


FAILURE = Failure(HOSTILE, f"{HOSTILE}: no such file")
__all__ = ["FAILURE", "HOSTILE", "NAMED", "PLACES", "FakeRegion", "FakeVerdict", "bare", "full"]
