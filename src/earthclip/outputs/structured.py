"""Answers as JSON: the objects that every machine-readable output is made of."""

from __future__ import annotations

import json
import re
from typing import Any, TextIO

import numpy as np
from jaxtyping import Int64

from earthclip.errors import InputError, readable
from earthclip.geo.cells import MAX_LEVEL
from earthclip.locating.prediction import Prediction
from earthclip.pictures.prepare import Failure

_FORM = re.compile(r"(\d{1,2})/((?:\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)?)", re.ASCII)


def cells_text(cells: Int64[np.ndarray, " r"], level: int) -> str:
    """The cells of a level, in any order, as text."""
    ordered = np.unique(cells)
    breaks = np.flatnonzero(np.diff(ordered) > 1) + 1
    first = ordered[np.concatenate([[0], breaks])] if ordered.size else ordered
    last = ordered[np.concatenate([breaks - 1, [-1]])] if ordered.size else ordered
    ranges = [f"{a}-{b}" if a != b else f"{a}" for a, b in zip(first.tolist(), last.tolist(), strict=True)]
    return f"{level}/{','.join(ranges)}"


def parse_cells(text: str) -> tuple[Int64[np.ndarray, " r"], int]:
    """The cells that ``cells_text`` wrote, ascending, and their level. Raises InputError for other text."""
    found = _FORM.fullmatch(text)
    level = int(found[1]) if found else -1
    if found is None or level > MAX_LEVEL:
        raise InputError(f"expected cells as in 6/100-120,130, found {text[:40]!r}")
    beyond = 12 * 4**level
    ranges = []
    for part in filter(None, found[2].split(",")):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if not low <= high < beyond:
            raise InputError(f"expected cells of level {level} below {beyond}, found {part}")
        ranges.append(np.arange(low, high + 1, dtype=np.int64))
    return np.concatenate(ranges) if ranges else np.empty(0, np.int64), level


def to_object(answer: Prediction | Failure, *, cells: bool = False) -> dict[str, Any]:
    """The answer as plain JSON values; degrees to 6 decimals (0.1 m), probabilities to 6 digits.

    What a Prediction does not have (verdict, credible areas, region) is left out. With ``cells`` each
    credible region also holds its cells, so that ``from_object`` can give it back with its outline.
    """
    if isinstance(answer, Failure):
        return {"path": answer.path, "error": answer.error}
    predictions: list[dict[str, Any]] = [
        {"latitude": latitude, "longitude": longitude, "probability": probability}
        for latitude, longitude, probability in rounded(answer)
    ]
    for row, place in zip(predictions, answer.places, strict=True):
        row["place"] = place_object(place)
    return answer.asked | {"model": answer.model, "predictions": predictions} | trust(answer, cells=cells)


def trust(answer: Prediction, *, cells: bool = False) -> dict[str, Any]:
    """How far to trust the answer: ``verdict``, ``credible``, ``region``, ``scope``, ``abstained``, where available."""
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
    if answer.abstained:
        values["abstained"] = True
    return values


def from_object(values: dict[str, Any]) -> Prediction | Failure:
    """The answer that ``to_object`` made ``values`` of, without its posterior.

    It has the names, verdict and areas of the first; outlines of credible regions only where ``cells`` were kept.
    """
    if "error" in values:
        return Failure(values["path"], values["error"])
    rows = values["predictions"]
    return Prediction(
        values["path"],
        values["model"],
        np.array([(row["latitude"], row["longitude"]) for row in rows], np.float64).reshape(-1, 2),
        np.array([row["probability"] for row in rows], np.float64),
        text=values.get("text"),
        named=tuple(_place(row["place"]) for row in rows if "place" in row),
        verdict=_verdict(values["verdict"]) if "verdict" in values else None,
        credible=tuple(_region(region) for region in values.get("credible", ())),
        region=values.get("region"),
        region_share=values.get("region_share"),
        abstained=values.get("abstained", False),
        scope=values.get("scope"),
        advice=values.get("advice"),
    )


def area90_km2(answer: Prediction) -> float | None:
    """Area of the region that holds 90 %, to 6 digits; None where it is not known."""
    areas = [digits(region.area_km2) for region in answer.credible if abs(region.mass - 0.9) < 1e-9]
    return areas[0] if areas else None


def place_object(place: Any) -> dict[str, Any]:
    """A Place under its names in JSON, ``text`` as people read it."""
    return {
        "name": place.name,
        "admin": place.admin,
        "country": place.country,
        "country_code": place.country_code,
        "distance_km": None if place.distance_km is None else round(float(place.distance_km), 1),
        "text": str(place),
    }


def rounded(prediction: Prediction) -> list[tuple[float, float, float]]:
    """Rows of (latitude, longitude, probability), best first, rounded to meaningful digits."""
    rows = zip(prediction.coordinates.tolist(), prediction.probabilities.tolist(), strict=True)
    return [
        (round(latitude, 6), round(longitude, 6), digits(probability)) for (latitude, longitude), probability in rows
    ]


def digits(value: float) -> float:
    """``value`` to 6 digits."""
    return float(f"{value:.6g}")


def dumps(value: object) -> str:
    """One line of valid JSON; readable letters, but escapes for file names that are not valid Unicode."""
    text = readable(json.dumps(value, ensure_ascii=False, allow_nan=False))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, allow_nan=False)
    return text


class JSONLinesWriter:
    """One object a line and picture."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, answer: Prediction | Failure) -> None:
        """Write one line."""
        self._stream.write(dumps(to_object(answer)) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to write."""


class JSONWriter:
    """One array with an object for each picture."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._before = "[\n"

    def write(self, answer: Prediction | Failure) -> None:
        """Write one element."""
        self._stream.write(self._before + dumps(to_object(answer)))
        self._stream.flush()
        self._before = ",\n"

    def close(self) -> None:
        """Close the array."""
        self._stream.write("[]\n" if self._before == "[\n" else "\n]\n")
        self._stream.flush()


def _place(values: dict[str, Any]) -> Any:
    from earthclip.geo.places import Place

    return Place(**values)


def _verdict(values: dict[str, Any]) -> Any:
    from earthclip.locating.trust import Verdict

    return Verdict(values["level"], values["radius_km"], values["mass"])


def _region(values: dict[str, Any]) -> Any:
    from earthclip.locating.trust import CredibleRegion

    # Without cells it keeps mass and area, and has no outline.
    cells, level = parse_cells(values["cells"]) if "cells" in values else (np.empty(0, np.int64), 0)
    return CredibleRegion(values["mass"], level, cells, values["area_km2"])
