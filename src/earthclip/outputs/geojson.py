"""GeoJSON (RFC 7946): longitude first; null geometry where a picture failed or has no answer.

One Feature for each candidate place, then one for each credible region of the picture, its outline cut at the
antimeridian and wound by the right-hand rule. Pictures are named by their files without folders, since the file is
made to be passed on; ``"earthclip": {"paths": ...}`` tells whether they are those of another run.
"""

from __future__ import annotations

from typing import Any, TextIO

from earthclip.locating.prediction import Prediction
from earthclip.outputs.drawing import coordinates_of, outline
from earthclip.outputs.structured import PathCheck, digits, dumps, rounded, trust, without_folders
from earthclip.outputs.table import warning_text
from earthclip.pictures.prepare import Failure


class GeoJSONWriter:
    """One FeatureCollection over all pictures."""

    def __init__(self, stream: TextIO, *, full_paths: bool = False) -> None:
        """Features have the names of files, or with ``full_paths`` their paths."""
        self._stream, self._full_paths = stream, full_paths
        self._check = PathCheck()
        self._stream.write('{"type": "FeatureCollection", "features": [')
        self._separator = "\n"

    def write(self, answer: Prediction | Failure) -> None:
        """Write the features of one picture."""
        self._check.add(answer.path)
        for feature in features(answer if self._full_paths else without_folders(answer)):
            self._stream.write(self._separator + dumps(feature))
            self._separator = ",\n"
        self._stream.flush()

    def close(self) -> None:
        """Close the collection."""
        check = "" if self._full_paths else f', "earthclip": {{"paths": "{self._check}"}}'
        self._stream.write(f"\n]{check}}}\n")
        self._stream.flush()


def features(answer: Prediction | Failure) -> list[dict[str, Any]]:
    """The candidate places of one answer as GeoJSON Features, best first, then its credible regions.

    The verdict, and the region that answers had to lie in, are properties of the best place; ``warning`` is one of all.
    """
    if isinstance(answer, Failure):
        return [_feature(None, {"path": answer.path, "error": answer.error})]
    whole = {name: value for name, value in trust(answer).items() if name != "credible"}
    if answer.abstained or not len(answer.coordinates):
        return [_feature(None, _common(answer) | whole)]
    return [*_points(answer, whole), *_regions(answer)]


def _points(answer: Prediction, whole: dict[str, Any]) -> list[dict[str, Any]]:
    points = []
    for rank, (row, place) in enumerate(zip(rounded(answer), answer.places, strict=True), start=1):
        latitude, longitude, probability = row
        properties = _common(answer) | {"rank": rank, "probability": probability, "place": place.to_dict()}
        if rank == 1:
            properties |= whole
        points.append(_feature({"type": "Point", "coordinates": [longitude, latitude]}, properties))
    return points


def _regions(answer: Prediction) -> list[dict[str, Any]]:
    regions = []
    for region in answer.credible:
        shape = outline(region)
        if shape is not None:
            held = {"mass": float(region.mass), "area_km2": digits(region.area_km2)}
            geometry = {"type": "MultiPolygon", "coordinates": coordinates_of(shape)}
            regions.append(_feature(geometry, _common(answer) | held))
    return regions


def _common(answer: Prediction) -> dict[str, Any]:
    warning = warning_text(answer)
    return answer.asked | {"model": answer.model} | ({"warning": warning} if warning else {})


def _feature(geometry: dict[str, Any] | None, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}
