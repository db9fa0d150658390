"""The OpenAPI description: fields, answers and errors in the words of JSON Schema."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from earthclip.server.questions import MAX_REGION, MAX_REGIONS, MAX_TEXT

_ABOUT = (
    "Where on Earth is this? Photos are read from memory, neither kept nor logged. Coordinates are degrees; "
    'GeoJSON geometries have longitude first, everything else latitude. Errors are `{"error": "one line"}`.'
)
_NUMBER, _TEXT, _WHOLE = {"type": "number"}, {"type": "string"}, {"type": "integer"}
_OR_NULL = {"type": ["string", "null"]}
_SWITCH = {"type": "string", "enum": ["0", "1"]}


def _object(required: str = "", **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split()}


def _list(items: dict[str, Any], **limits: int) -> dict[str, Any]:
    return {"type": "array", "items": items, **limits}


def _answered(schema: dict[str, Any], *codes: int) -> dict[str, Any]:
    error = {"application/json": {"schema": _object("error", error=_TEXT)}}
    reasons = {
        "400": "The form cannot be read.",
        "401": "The API key is missing or wrong.",
        "408": "The request took too long to arrive.",
        "413": "The request or a photo is too large.",
        "415": "Another Content-Type was expected.",
        "421": "The server does not answer to that host name.",
        "422": "A value or photo that cannot be used.",
        "429": "The queue is full; see Retry-After, in seconds.",
        "503": "The server is starting or ending.",
        "504": "No answer within the server's time limit.",
    }
    responses = {code: {"description": reasons[code], "content": error} for code in map(str, codes)}
    return {"200": {"description": "The answer.", "content": {"application/json": {"schema": schema}}}} | responses


_PLACE = _object(
    "text", name=_OR_NULL, admin=_OR_NULL, country=_OR_NULL, country_code=_OR_NULL, text=_TEXT,
    distance_km={"type": ["number", "null"]},
)  # fmt: skip
_ROW = _object("latitude longitude probability", latitude=_NUMBER, longitude=_NUMBER, probability=_NUMBER, place=_PLACE)
_ANSWER = _object(
    "path",
    path={"type": ["string", "null"], "description": "Always null: names of files are not kept; order tells."},
    text=_TEXT,
    model=_TEXT,
    predictions=_list(_ROW),
    verdict=_object(
        "level radius_km mass sentence", level=_OR_NULL, radius_km={"type": ["number", "null"]}, mass=_NUMBER,
        sentence=_TEXT,
    ),
    credible=_list(_object("mass area_km2", mass=_NUMBER, area_km2=_NUMBER, geometry={"type": "object"})),
    surface=_object(
        "level cells probabilities polygons",
        level=_WHOLE, cells=_list(_WHOLE), probabilities=_list(_NUMBER), polygons=_list(_list(_list(_NUMBER))),
    ),
    region=_TEXT,
    region_share=_NUMBER | {"description": "The probability that the region holds when nothing is ruled out."},
    abstained={"type": "boolean"},
    error={"type": "string", "description": "Instead of predictions: why this photo, of several, has no answer."},
)  # fmt: skip

_REGION = (
    "Answers lie in it: a country's name or code, 'lat,lon,km', 'south,west,north,east', or the text of a GeoJSON "
    f"Polygon or MultiPolygon. Up to {MAX_REGIONS}, of which the union counts."
)
_FORM = _object(
    photos=_list({"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}),
    text={"type": "string", "maxLength": MAX_TEXT, "description": "Words to locate, alone or beside the photos."},
    top_k={"type": "integer", "minimum": 1, "maximum": 100, "default": 5, "description": "How many places to name."},
    region=_list({"type": "string", "maxLength": MAX_REGION, "description": _REGION}, maxItems=MAX_REGIONS),
    surface=_SWITCH | {"default": "0", "description": "1: also the most probable HEALPix cells, for a map."},
    outlines=_SWITCH | {"default": "1", "description": "0: leave out the geometry of the credible regions."},
    strip=_SWITCH | {"description": "Of no effect: metadata is never used for the answer."},
)
_COMMON = (401, 408, 413, 415, 421, 422, 429, 503, 504)

LOCATE: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}},
    "responses": _answered(_object("model answers", model=_TEXT, answers=_list(_ANSWER)), 400, *_COMMON),
}
EMBED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _object("coordinates", coordinates=_list(_list(_NUMBER, minItems=2, maxItems=2)))
                | {"additionalProperties": False, "example": {"coordinates": [[59.91, 10.75], [-33.86, 151.21]]}}
            }
        },
    },
    "responses": _answered(_object("model embeddings", model=_TEXT, embeddings=_list(_list(_NUMBER))), *_COMMON),
}
_MODEL = _object(
    "name default pictures words caution places prior",
    name=_TEXT, default={"type": "boolean"}, pictures={"type": "boolean"}, words={"type": "boolean"},
    caution=_OR_NULL, places=_WHOLE, prior=_TEXT,
)  # fmt: skip
MODELS: dict[str, Any] = {"responses": _answered(_object("models", models=_list(_MODEL)), 401, 421)}


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole description, made once."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
        schemes = {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        described["components"] = {"securitySchemes": schemes}
        settings = app.state.service.settings
        if settings.api_key is not None:
            described["security"] = [{"key": []}, {"bearer": []}]
        form = described["paths"]["/v1/locate"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        form["properties"]["top_k"] = form["properties"]["top_k"] | {"maximum": settings.max_top_k}
        form["properties"]["photos"] = form["properties"]["photos"] | {"maxItems": settings.max_photos}
        app.openapi_schema = described
    return app.openapi_schema
