"""The routes: what each takes and answers. ``create_app(locator)`` is an ASGI application for any server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response, Security
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from earthclip import __version__
from earthclip.locating.locator import Locator
from earthclip.outputs.html_map import STATIC
from earthclip.server.contract import (
    MAX_REGION,
    EmbedBody,
    Embedded,
    Located,
    LocateForm,
    Models,
    Problem,
    Refusal,
    describe_answers,
)
from earthclip.server.gate import Gate
from earthclip.server.reference import STYLE, reference_page
from earthclip.server.service import Service
from earthclip.server.settings import Settings

_ABOUT = (
    "Where on Earth is this? Photos are read in memory and neither kept nor logged. Coordinates are degrees. "
    'GeoJSON geometries have longitude first, everything else latitude. Errors are `{"error": "one line"}`.'
)
_REASONS = {
    400: "The form cannot be read.",
    401: "The API key is missing or wrong.",
    408: "The request took too long to arrive.",
    413: "The request or a photo is too large.",
    415: "Another Content-Type was expected.",
    421: "The server does not answer to that host name.",
    422: "A value or photo cannot be used.",
    429: "The queue is full. Retry-After says when to come back, in seconds.",
    503: "The server is starting or ending.",
    504: "No answer within the server's time limit.",
}
_MAX_FIELDS = 32


def create_app(locator: Locator, settings: Settings | None = None) -> FastAPI:
    """The application over ``locator``, which is opened when the server starts; /readyz tells when that is done."""
    return app_of(Service(locator, settings))


def app_of(service: Service) -> FastAPI:
    """The application over a service, which it starts, unless it was started before, and closes."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.close()

    settings = service.settings
    # The gate checks the key; these only describe it.
    keys = [Security(APIKeyHeader(name="X-API-Key", auto_error=False)), Security(HTTPBearer(auto_error=False))]
    app = _App(
        title="EarthCLIP",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        root_path=settings.root_path,
        responses={status: {"model": Problem, "description": reason} for status, reason in _REASONS.items()},
        dependencies=keys if settings.api_key else None,
    )
    app.add_exception_handler(HTTPException, _as_problem)
    if settings.cors_origins:
        headers = ["X-API-Key", "Authorization", "Content-Type"]
        app.add_middleware(CORSMiddleware, allow_origins=list(settings.cors_origins), allow_headers=headers)
    app.add_middleware(Gate, settings=settings, meters=service.meters)
    _add_api(app, service)
    _add_state(app, service)
    _add_pages(app, settings)
    return app


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            describe_answers(super().openapi())
        return super().openapi()


def _add_api(app: FastAPI, service: Service) -> None:
    @app.post("/v1/locate", response_model=Located, openapi_extra=_body("multipart/form-data", LocateForm))
    async def locate(request: Request) -> Response:
        """Guess where photos were taken, or which places a text fits."""
        form = LocateForm.of(await _form(request, service.settings.max_photos))
        request.state.pictures = len(form.photos)
        return _json(await service.locate(form))

    @app.post("/v1/embed", response_model=Embedded, openapi_extra=_body("application/json", EmbedBody))
    async def embed(request: Request) -> Response:
        """Turn coordinates into features, one unit vector each."""
        _check_type(request, "application/json")
        return _json(await service.embed(EmbedBody.of(await request.body())))

    @app.get("/v1/models")
    async def models() -> Models:
        """The models of this server, and what they can do.

        Where there are two, the first locates the photos of its kind. Everything else is for the other, the default.
        """
        return Models(models=service.models())


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        if service.ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"error": "the model is being opened"}, 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(service.meters.text(), media_type=CONTENT_TYPE_LATEST)


def _add_pages(app: FastAPI, settings: Settings) -> None:
    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        page = reference_page(app.openapi(), str(request.base_url).rstrip("/"), with_key=bool(settings.api_key))
        return Response(page, media_type="text/html")

    @app.get("/docs/style.css", include_in_schema=False)
    async def style() -> Response:
        return Response(STYLE, media_type="text/css")

    # Not mounted at "/", which would answer 404 for the API's paths where the method is wrong.
    for path in sorted(STATIC.iterdir()):
        if path.is_dir():
            app.mount(f"/{path.name}", StaticFiles(directory=path), name=path.name)
        else:
            app.add_route(f"/{path.name}", partial(_file, path), include_in_schema=False)
    for name, path in (("/", STATIC / "index.html"), ("/favicon.ico", STATIC / "icon.svg")):
        app.add_route(name, partial(_file, path), include_in_schema=False)


async def _file(path: Path, _: Request) -> Response:
    return FileResponse(path)


def _body(media_type: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": model.model_json_schema()}}}}


def _check_type(request: Request, media_type: str) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        raise Refusal(415, f"expected a body of Content-Type: {media_type}")


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 40  # bytes: photos never go to a disk; the gate has limited them


async def _whole(request: Request) -> AsyncGenerator[bytes, None]:
    """The body in one piece, which is parsed in a third of the time that its pieces take."""
    yield await request.body()


async def _form(request: Request, max_photos: int) -> list[tuple[str, str | bytes]]:
    """The fields of a form in the order sent, files as bytes. Raises Refusal for what is no form, or too large."""
    _check_type(request, "multipart/form-data")
    limits = {"max_files": max_photos, "max_fields": _MAX_FIELDS, "max_part_size": 4 * MAX_REGION}
    try:
        form = await _InMemory(request.headers, _whole(request), **limits).parse()
    except MultiPartException as error:
        raise Refusal(400, f"the form cannot be read ({' '.join(error.message.split())[:200]})") from None
    try:
        return [
            (name, await value.read() if isinstance(value, UploadFile) else value) for name, value in form.multi_items()
        ]
    finally:
        await form.close()


async def _as_problem(_: Request, error: Exception) -> Response:
    """The framework's own refusals, such as 404 and 405, in the form of ours."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


def _json(text: str) -> Response:
    return Response(text.encode(), media_type="application/json")
