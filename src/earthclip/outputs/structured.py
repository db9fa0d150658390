"""Answers as JSON: the objects that every machine-readable output is made of (``answer.schema.json``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePath
from typing import Any, TextIO

import numpy as np

from earthclip.errors import readable
from earthclip.geo.cells import parse_cells
from earthclip.locating.evidence import ReferencePhoto
from earthclip.locating.prediction import Prediction, digits, rounded, trust
from earthclip.pictures.prepare import Failure

__all__ = [
    "JSONLinesWriter",
    "JSONWriter",
    "answer_schema",
    "area90_km2",
    "digits",
    "dumps",
    "from_object",
    "rounded",
    "to_object",
    "trust",
]


@cache
def answer_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an answer in JSON, JSON Lines and the HTTP API, and of ``to_dict()``."""
    schema: dict[str, Any] = json.loads(Path(__file__).with_name("answer.schema.json").read_text("utf-8"))
    return schema


def to_object(answer: Prediction | Failure, *, cells: bool = False) -> dict[str, Any]:
    """``answer.to_dict()``. With ``cells`` each credible region also holds its cells, for ``from_object``."""
    return answer.to_dict() if isinstance(answer, Failure) else answer.to_dict(cells=cells)


def from_object(values: dict[str, Any]) -> Prediction | Failure:
    """The answer that ``to_object`` made ``values`` of, without its posterior.

    It has the names, verdict and areas of the first; outlines of credible regions only where ``cells`` were stored.
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
        caution=_caution(values.get("warnings", ())),
        region=values.get("region"),
        region_share=values.get("region_share"),
        sources=tuple(values.get("sources", ())),
        abstained=values.get("abstained", False),
        references=tuple(ReferencePhoto(**photo) for photo in values.get("references", ())),
        scope=values.get("scope"),
        advice=values.get("advice"),
    )


def without_folders(answer: Prediction | Failure) -> Prediction | Failure:
    """The answer with its file's name in the place of its path: folders tell names of people and projects."""
    if answer.path is None:
        return answer
    name = PurePath(answer.path).name
    if isinstance(answer, Failure):
        return Failure(name, answer.error.replace(answer.path, name))
    return replace(answer, path=name)


@dataclass
class PathCheck:
    """16 bits of paths, in any order: a file that has names alone can be told from one of other folders' pictures.

    They are too few to find out a path from.
    """

    value: int = 0

    def add(self, path: str | None) -> None:
        """Take one path, as a file of answers would have it."""
        digest = hashlib.sha256(readable(path or "").encode(errors="replace")).digest()
        self.value = (self.value + int.from_bytes(digest[:2])) & 0xFFFF

    def __str__(self) -> str:
        return f"{self.value:04x}"


def area90_km2(answer: Prediction) -> float | None:
    """Area of the region that holds 90 %, to 6 digits; None where it is not known."""
    areas = [digits(region.area_km2) for region in answer.credible if abs(region.mass - 0.9) < 1e-9]
    return areas[0] if areas else None


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


def _caution(warnings: Iterable[dict[str, str]]) -> str | None:
    texts = (row["text"] for row in warnings if row["kind"] == "model")
    return next((text.removeprefix("Caution: ").removesuffix(".") for text in texts), None)


def _verdict(values: dict[str, Any]) -> Any:
    from earthclip.locating.trust import Verdict

    return Verdict(values["level"], values["radius_km"], values["mass"])


def _region(values: dict[str, Any]) -> Any:
    from earthclip.locating.trust import CredibleRegion

    # Without cells it keeps mass and area, and has no outline.
    cells, level = parse_cells(values["cells"]) if "cells" in values else (np.empty(0, np.int64), 0)
    return CredibleRegion(values["mass"], level, cells, values["area_km2"])
