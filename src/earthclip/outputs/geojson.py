"""GeoJSON (RFC 7946): one Feature for each candidate place, longitude first; null geometry where a picture failed."""

from __future__ import annotations

from typing import Any, TextIO

from earthclip.outputs.structured import dumps, rounded
from earthclip.prediction import Failure, Prediction


class GeoJSONWriter:
    """One FeatureCollection over all pictures."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stream.write('{"type": "FeatureCollection", "features": [')
        self._separator = "\n"

    def write(self, answer: Prediction | Failure) -> None:
        """Write the features of one picture."""
        for feature in features(answer):
            self._stream.write(self._separator + dumps(feature))
            self._separator = ",\n"
        self._stream.flush()

    def close(self) -> None:
        """Close the collection."""
        self._stream.write("\n]}\n")
        self._stream.flush()


def features(answer: Prediction | Failure) -> list[dict[str, Any]]:
    """The candidate places of one answer as GeoJSON Features, best first."""
    if isinstance(answer, Failure):
        return [_feature(None, {"path": answer.path, "error": answer.error})]
    return [
        _feature(
            {"type": "Point", "coordinates": [longitude, latitude]},
            answer.asked | {"rank": rank, "probability": probability, "model": answer.model},
        )
        for rank, (latitude, longitude, probability) in enumerate(rounded(answer), start=1)
    ]


def _feature(geometry: dict[str, Any] | None, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}
