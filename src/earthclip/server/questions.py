"""What a client asks: the fields of POST /v1/locate and the coordinates of POST /v1/embed, checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from earthclip.errors import EarthCLIPError, InputError
from earthclip.geo.sphere import check_coordinates
from earthclip.server.refusal import Refusal
from earthclip.server.settings import Settings

if TYPE_CHECKING:
    from earthclip.geo.regions import Region

MAX_TEXT = 2_000  # characters of words to locate; models read the first 77 tokens
MAX_REGION = 200_000  # characters of a region, which is about 10,000 corners
MAX_REGIONS = 16
_FIELDS = ("photos", "text", "top_k", "region", "surface", "outlines", "strip")
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


@dataclass(frozen=True)
class Question:
    """What is asked about each photo, or about the words alone; questions that are equal may share a batch."""

    top_k: int = 5
    text: str | None = None
    regions: tuple[str, ...] = ()
    surface: bool = False  # also the probability of cells, for a map
    outlines: bool = True  # also the credible regions' outlines
    region: Region | None = field(default=None, compare=False, repr=False)  # the union of ``regions``

    @property
    def asked(self) -> Question:
        """What decides the model's answer, without what is only about how it is written."""
        return Question(self.top_k, self.text, self.regions, region=self.region)


def read_question(fields: Sequence[tuple[str, str]], settings: Settings) -> Question:
    """The question in the (name, value) ``fields`` of a form, photos apart.

    Raises Refusal (422) for unknown, repeated or ill-valued ones.
    """
    values: dict[str, str] = {}
    regions = []
    for name, value in fields:
        if name not in _FIELDS:
            raise Refusal(422, f"unknown field '{_short(name)}'; expected some of {', '.join(_FIELDS)}")
        if name == "photos":
            raise Refusal(422, "photos: expected a file with a filename, found text; send multipart/form-data")
        if name == "region":
            regions += [value.strip()] if value.strip() else []
        elif name in values:
            raise Refusal(422, f"{name}: given more than once; give it once")
        else:
            values[name] = value
    text = values.get("text", "").strip() or None
    if text is not None and len(text) > MAX_TEXT:
        raise Refusal(422, f"text: {len(text):,} characters, the limit is {MAX_TEXT:,}; make it shorter")
    top_k = _whole("top_k", values.get("top_k", "5"), settings.max_top_k)
    surface, outlines = _switch("surface", values, False), _switch("outlines", values, True)
    _switch("strip", values, True)  # metadata is never read here, whatever it says
    return Question(top_k, text, tuple(regions), surface, outlines, read_regions(regions))


def read_regions(texts: Sequence[str]) -> Region | None:
    """The union of what clients wrote: names of countries, circles, boxes, GeoJSON geometries; never a path.

    Raises Refusal (422).
    """
    if not texts:
        return None
    if len(texts) > MAX_REGIONS:
        raise Refusal(422, f"region: {len(texts)} of them, the limit is {MAX_REGIONS}; draw them as one MultiPolygon")
    if longest := max(texts, key=len)[MAX_REGION:]:
        size = MAX_REGION + len(longest)
        raise Refusal(422, f"region: {size:,} characters, the limit is {MAX_REGION:,}; simplify its outline")
    from earthclip.geo.regions import parse_regions

    try:
        return parse_regions(texts, files=False)
    except EarthCLIPError as error:
        raise Refusal(422, f"region: {_short(str(error).removeprefix('region '), 300)}") from None


def read_coordinates(body: bytes, limit: int) -> Float64[np.ndarray, "n 2"]:
    """The ``{"coordinates": [[latitude, longitude], ...]}`` of a body, in degrees. Raises Refusal (422, 413)."""
    try:
        # NaN and Infinity are Python's extension of JSON; they would come back as an error of ours.
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        raise Refusal(422, f"the body is not valid JSON ({_short(reason)})") from None
    if not isinstance(value, dict) or set(value) != {"coordinates"}:
        raise Refusal(422, 'expected a JSON object {"coordinates": [[latitude, longitude], ...]} and no other keys')
    rows = value["coordinates"]
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise Refusal(422, "coordinates: expected a list of [latitude, longitude] pairs")
    if len(rows) > limit:
        raise Refusal(413, f"coordinates: {len(rows):,} of them, the limit is {limit:,}; send them in parts")
    for number, row in enumerate(rows):
        if not all(isinstance(degrees, int | float) and not isinstance(degrees, bool) for degrees in row):
            raise Refusal(
                422, f"coordinates: row {number} is {_short(json.dumps(row))}; expected two numbers, in degrees"
            )
    try:
        coordinates = check_coordinates(np.array(rows, np.float64).reshape(-1, 2), "coordinates")
    except (InputError, OverflowError) as error:
        raise Refusal(422, _short(str(error), 300)) from None
    if beyond := [number for number, (_, longitude) in enumerate(rows) if longitude > 180.0]:
        raise Refusal(
            422, f"coordinates: row {beyond[0]}: longitudes must lie in [-180, 180]; subtract 360 from those beyond"
        )
    return coordinates


def _whole(name: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= largest):
        raise Refusal(422, f"{name} is '{_short(text)}'; expected a whole number from 1 to {largest}")
    return int(text)


def _switch(name: str, values: dict[str, str], default: bool) -> bool:
    text = values.get(name, "1" if default else "0").lower()
    if text not in _YES + _NO:
        raise Refusal(422, f"{name} is '{_short(text)}'; expected 1 or 0")
    return text in _YES


def _short(text: str, length: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[:length]}..."


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")
