"""A Prediction speaks latitude first to people and longitude first to GeoJSON."""

from __future__ import annotations

import numpy as np
from shapely.geometry import shape

from earthclip.locating.posterior import Posterior
from earthclip.locating.prediction import Prediction
from earthclip.pictures.prepare import Failure
from tests.locating.posteriors import predicted


def test_geo_interface_is_the_best_place_longitude_first() -> None:
    places = np.array([[37.75, 14.99], [38.1, 13.4]])
    posterior = Posterior.from_logits(places, np.log(np.array([0.8, 0.2])))
    prediction = predicted(posterior, "etna.jpg", 2)
    assert (prediction.latitude, prediction.longitude) == (37.75, 14.99)
    feature = prediction.__geo_interface__
    assert feature["type"] == "Feature"
    assert feature["properties"]["path"] == "etna.jpg" and abs(feature["properties"]["probability"] - 0.8) < 1e-12
    point = shape(feature["geometry"])
    assert (point.x, point.y) == (14.99, 37.75)
    assert "scorer" not in repr(prediction)
    assert prediction.posterior is posterior
    assert Prediction(None, "orbit", *posterior.top_k(1)).posterior is None


def test_failures_compare_by_value() -> None:
    assert Failure("a.jpg", "a.jpg: no such file") == Failure("a.jpg", "a.jpg: no such file")
