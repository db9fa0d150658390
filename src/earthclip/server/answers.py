"""The contract of the API: what clients get. What they send: ``contract.py``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

_Absent = SkipJsonSchema[None]  # a field that is left out, never null


class Place(BaseModel):
    """A place in words."""

    name: str | None = None
    admin: str | None = None
    country: str | None = None
    country_code: str | None = None
    distance_km: float | None = Field(None, description="From the place to the coordinates.")
    text: str


class Candidate(BaseModel):
    """One of the places that the photo may be from."""

    latitude: float
    longitude: float
    probability: float
    place: Place | _Absent = None


class Verdict(BaseModel):
    """What can be said with confidence."""

    level: str | None = Field(description="`street`, `city`, `region`, `country` or `continent`.")
    radius_km: float | None
    mass: float = Field(description="The probability within that radius of the first place.")
    sentence: str


class CredibleRegion(BaseModel):
    """The smallest region that holds ``mass`` of the probability."""

    mass: float
    area_km2: float
    geometry: dict[str, Any] | _Absent = Field(None, description="A GeoJSON MultiPolygon, unless `outlines` is 0.")


class Surface(BaseModel):
    """The most probable cells, best first."""

    level: int = Field(description="The HEALPix level of the cells.")
    cells: list[int] = Field(description="Their nested numbers.")
    probabilities: list[float]
    polygons: list[list[list[float]]] = Field(description="Four corners a cell, as longitude and latitude.")


class Reference(BaseModel):
    """A photo of an index of the server that looks like the one that was sent."""

    index: str
    id: str = Field(description="The photo's name in the index.")
    similarity: float = Field(description="The cosine of the two embeddings.")
    share: float = Field(description="Its part of what the index adds to the answer. 0 if it is not similar enough.")
    latitude: float
    longitude: float
    taken: str | None = Field(None, description="When it was taken, as its EXIF data says.")
    author: str | None = None


class Answer(BaseModel):
    """Where one photo was taken, or which places a text fits."""

    path: str | None = Field(description="Always null. Answers come in the order the photos were sent.")
    text: str | _Absent = None
    model: str | _Absent = None
    predictions: list[Candidate] | _Absent = None
    verdict: Verdict | _Absent = None
    credible: list[CredibleRegion] | _Absent = None
    surface: Surface | _Absent = None
    region: str | _Absent = None
    region_share: float | _Absent = Field(
        None, description="The probability of the region before others are ruled out."
    )
    abstained: bool | _Absent = Field(None, description="True if the confidence is below `min_confidence`.")
    references: list[Reference] | _Absent = Field(None, description="The photos most similar to this one, best first.")
    error: str | _Absent = Field(None, description="Why this photo of several has no answer.")


class Located(BaseModel):
    """The answer of POST /v1/locate."""

    model: str
    answers: list[Answer]


class Embedded(BaseModel):
    """The answer of POST /v1/embed."""

    model: str
    embeddings: list[list[float]] = Field(description="A unit vector for each coordinate.")


class Model(BaseModel):
    """A model and what it can do."""

    name: str
    default: bool
    pictures: bool = Field(description="Whether it locates photos.")
    words: bool = Field(description="Whether it locates texts.")
    caution: str | None
    places: int = Field(description="The number of its candidate places.")
    prior: str = Field(description="How its candidate places are spread.")


class Models(BaseModel):
    """The answer of GET /v1/models."""

    models: list[Model]


class Problem(BaseModel):
    """Every refusal."""

    error: str
