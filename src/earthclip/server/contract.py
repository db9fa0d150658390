"""The contract of the API: what clients send, and how the server says no. What they get: ``answers.py``.

FastAPI makes the OpenAPI description from these models, and ``reference.py`` the page at /docs. Answers are those of
``outputs/answer.schema.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float64
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)

from earthclip.errors import EarthCLIPError
from earthclip.locating.posterior import Prior
from earthclip.locating.question import Question
from earthclip.outputs.structured import answer_schema

MAX_PHOTOS = 16  # of one request
MAX_TEXT = 2_000  # characters; models read the first 77 tokens
MAX_REGION = 200_000  # characters of one region, which is about 10,000 corners
MAX_REGIONS = 16
MAX_COORDINATES = 10_000  # of one request

_BINARY = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
_File = Annotated[bytes, Strict(), WithJsonSchema(_BINARY)]
_Where = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_REGION)]
_Switch = Annotated[bool, BeforeValidator(lambda value: value or "0")]  # an empty field switches off
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Degrees = Annotated[float, Strict(), Field(allow_inf_nan=False)]


class Refusal(EarthCLIPError):  # noqa: N818  - not a fault: an answer
    """One line for the client, with the HTTP ``status`` to send it with.

    ``retry_after_s`` is when another try is worth it, None when the same request will be refused again.
    """

    def __init__(self, status: int, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class LocateForm(BaseModel):
    """The form of POST /v1/locate."""

    model_config = ConfigDict(extra="forbid")

    photos: list[_File] = Field(
        [], max_length=MAX_PHOTOS, description="Files of pictures. Repeat the field to send several."
    )
    text: Annotated[str, StringConstraints(strip_whitespace=True)] = Field(
        "", max_length=MAX_TEXT, description="A description to locate, alone or together with the photos."
    )
    text_weight: _Share = Field(0.5, description="How much the text counts against a photo. 1: only the text.")
    top_k: int = Field(5, ge=1, le=100, description="How many places to name.")
    region: list[_Where] = Field(
        [],
        max_length=MAX_REGIONS,
        description=(
            "Only consider places inside: the name of a country or a part of one, a country's code, `lat,lon,km`, "
            "`south,west,north,east`, or the text of a GeoJSON Polygon or MultiPolygon. Repeat the "
            "field to allow several regions."
        ),
    )
    prior: Prior = Field(
        "model", description="`model` favours where the training photos were taken; `land` treats all land equally."
    )
    min_confidence: _Share = Field(
        0.0, description="Mark an answer as abstained if less of the probability lies within 200 km of its first place."
    )
    force_answer: _Switch = Field(False, description="Also give places for a photo out of the model's scope.")
    surface: _Switch = Field(
        False, description="Also send the most probable HEALPix cells and images of the surface, for a map."
    )
    outlines: _Switch = Field(True, description="Send the geometry of the credible regions.")
    strip: _Switch = Field(True, description="Ignored. The server never reads metadata.")

    @classmethod
    def of(cls, items: Iterable[tuple[str, str | bytes]]) -> LocateForm:
        """The form of its fields in the order sent. Raises Refusal (422) for an unknown, repeated or wrong one."""
        values: dict[str, Any] = {}
        for name, value in items:
            if name in ("photos", "region"):
                values.setdefault(name, []).append(value)
            elif isinstance(value, bytes):
                raise Refusal(422, "a file in another field than 'photos'; send photos there")
            elif name in values:
                raise Refusal(422, f"{_shown(name)}: given more than once; give it once")
            else:
                values[name] = value
        try:
            form = cls.model_validate(values)
        except ValidationError as error:
            raise _refusal(error, cls) from None
        if not form.photos and not form.text:
            raise Refusal(422, "expected a file in the field 'photos', or words in 'text'; found neither")
        return form

    def question(self) -> Question:
        """What is asked about each photo. Raises Refusal (422) for a wrong region. A large one takes long."""
        regions = [text for text in self.region if text]
        region = None
        if regions:
            from earthclip.geo.regions import parse_regions  # takes its time, and few ask for a region

            try:
                region = parse_regions(regions, files=False)
            except EarthCLIPError as error:
                raise Refusal(422, f"region: {_shown(str(error).removeprefix('region').lstrip(': '), 300)}") from None
        return Question(
            names=True,
            top_k=self.top_k,
            text=self.text or None,
            text_weight=self.text_weight,
            region=region,
            prior=self.prior,
            min_confidence=self.min_confidence,
            force_answer=self.force_answer,
        )


def describe_answers(description: dict[str, Any]) -> None:
    """Put the schema of answers, and of what they hold, into an OpenAPI ``description`` of these models."""
    referred = json.loads(json.dumps(answer_schema()).replace("#/$defs/", "#/components/schemas/"))
    del referred["$schema"]
    schemas = description["components"]["schemas"]
    schemas |= referred.pop("$defs") | {"Answer": referred}
    schemas["Located"]["properties"]["answers"]["items"] = {"$ref": "#/components/schemas/Answer"}


class EmbedBody(BaseModel):
    """The body of POST /v1/embed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"coordinates": [[59.91, 10.75], [-33.86, 151.21]]}}
    )

    coordinates: list[Annotated[list[_Degrees], Field(min_length=2, max_length=2)]] = Field(
        max_length=MAX_COORDINATES, description="Pairs of latitude and longitude, in degrees."
    )

    @classmethod
    def of(cls, body: bytes) -> Float64[np.ndarray, "n 2"]:
        """The coordinates in a body, in degrees that nothing has checked. Raises Refusal (422, 413)."""
        try:
            rows = cls.model_validate_json(body).coordinates
        except ValidationError as error:
            raise _refusal(error, cls) from None
        coordinates = np.array(rows, np.float64).reshape(-1, 2)
        if (beyond := np.flatnonzero(coordinates[:, 1] > 180.0)).size:
            raise Refusal(
                422,
                f"coordinates, row {beyond[0]} (counted from 0): longitudes must lie in [-180, 180] degrees; "
                "subtract 360 from those beyond",
            )
        return coordinates


class Located(BaseModel):
    """The answer of POST /v1/locate."""

    model: str = Field(description="The model of the server, or of two both. Each answer has the one that located it.")
    answers: list[dict[str, Any]] = Field(
        description="One for each photo, in the order the photos were sent, or one for the text alone."
    )


class Embedded(BaseModel):
    """The answer of POST /v1/embed."""

    model: str
    embeddings: list[list[float]] = Field(description="A unit vector for each coordinate.")


class Model(BaseModel):
    """A model and what it can do."""

    name: str
    default: bool = Field(description="Whether it takes texts, coordinates, and photos that are of no other's kind.")
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


def _shown(text: str, length: int = 60) -> str:
    """A client's words in one short line."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[:length]}..."


def _expected(schema: dict[str, Any]) -> str:
    """What a field of the form takes, in words, from its JSON schema."""
    if "enum" in schema:
        return " or ".join(schema["enum"])
    if schema["type"] == "boolean":
        return "1 or 0"
    kind = "a whole number" if schema["type"] == "integer" else "a number"
    return f"{kind} from {schema['minimum']:g} to {schema['maximum']:g}"


def _refusal(error: ValidationError, model: type[BaseModel]) -> Refusal:
    """The first fault, in one line that names the field."""
    fault = error.errors(include_url=False)[0]
    kind, place, given, limits = fault["type"], fault["loc"], fault["input"], fault.get("ctx", {})
    name = _shown(str(place[0])) if place else ""
    if kind == "extra_forbidden":
        return Refusal(422, f"unknown field '{name}'; expected some of {', '.join(model.model_fields)}")
    if kind == "too_long" and len(place) == 1:
        message = f"{name}: {len(given):,} of them, the limit is {limits['max_length']:,}; send fewer at a time"
        return Refusal(413 if name == "coordinates" else 422, message)
    if kind == "string_too_long":
        most = limits["max_length"]
        return Refusal(422, f"{name}: {len(given):,} characters, the limit is {most:,}; make it shorter")
    if kind == "bytes_type":
        return Refusal(422, f"{name}: expected a file with a filename, found text; send multipart/form-data")
    if model is LocateForm:
        takes = _expected(model.model_json_schema()["properties"][name])
        return Refusal(422, f"{name} is '{_shown(str(given))}'; expected {takes}")
    if len(place) > 1:
        row = f"{name}: row {place[1]} is wrong at {_shown(str(given))}"
        return Refusal(422, f"{row}; expected two numbers, latitude and longitude in degrees")
    wanted = '{"coordinates": [[latitude, longitude], ...]}'
    return Refusal(422, f"the body cannot be read ({_shown(fault['msg'])}); expected {wanted}")
