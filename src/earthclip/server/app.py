"""The routes: what each takes and answers. ``create_app(locator)`` is an ASGI application for any server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from earthclip import __version__
from earthclip.locating.locator import Locator
from earthclip.outputs.html_map import STATIC
from earthclip.outputs.structured import dumps
from earthclip.server.gate import Gate
from earthclip.server.meters import CONTENT_TYPE
from earthclip.server.questions import MAX_REGION, read_coordinates, read_question
from earthclip.server.reference import STYLE, reference_page
from earthclip.server.refusal import Refusal
from earthclip.server.schemas import EMBED, LOCATE, MODELS, describe
from earthclip.server.service import Service
from earthclip.server.settings import Settings

_MAX_FIELDS = 32
_NO_PAGE = "<!doctype html><title>EarthCLIP</title><p>The API is under /v1, see <a href='/docs'>its reference</a>."


def create_app(locator: Locator, settings: Settings | None = None) -> FastAPI:
    """The application over ``locator``, which is opened when the server starts; /readyz tells when that is done."""
    return app_of(Service(locator, settings))


def app_of(service: Service) -> FastAPI:
    """The application over a service, which it starts, if nobody did, and closes."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.close()

    app = FastAPI(title="EarthCLIP", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    app.state.service = service
    app.add_exception_handler(HTTPException, _as_error)
    settings = service.settings
    if settings.cors_origins:
        headers = ["X-API-Key", "Authorization", "Content-Type"]
        app.add_middleware(CORSMiddleware, allow_origins=list(settings.cors_origins), allow_headers=headers)
    app.add_middleware(Gate, settings=settings, meters=service.meters)
    _add_api(app, service)
    _add_state(app, service)
    _add_pages(app)
    return app


def _add_api(app: FastAPI, service: Service) -> None:
    @app.post("/v1/locate", openapi_extra=LOCATE, response_class=Response)
    async def locate(request: Request) -> Response:
        """Tell where photos were taken, or words are true."""
        photos, fields = await _form(request, service.settings.max_photos)
        question = await service.in_pool(read_question, fields, service.settings)
        if not photos and question.text is None:
            raise Refusal(422, "expected a file in the field 'photos', or words in 'text'; found neither")
        request.state.pictures = len(photos)
        answers = await service.locate(question, photos)
        body = {"model": service.locator.name, "answers": answers}
        return _json(await service.in_pool(dumps, body))

    @app.post("/v1/embed", openapi_extra=EMBED, response_class=Response)
    async def embed(request: Request) -> Response:
        """Turn coordinates into features, one unit vector each."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(415, "expected a body of Content-Type: application/json")
        coordinates = await service.in_pool(read_coordinates, await request.body(), service.settings.max_coordinates)
        body = {"model": service.locator.name, "embeddings": await service.embed(coordinates)}
        return _json(await service.in_pool(dumps, body))

    @app.get("/v1/models", openapi_extra=MODELS, response_class=Response)
    async def models() -> Response:
        """The model that answers, and what it can do."""
        return _json(dumps({"models": service.models()}))


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return _json('{"status": "alive"}')

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        ready = service.ready
        return _json(
            '{"status": "ready"}' if ready else '{"error": "the model is being opened"}', 200 if ready else 503
        )

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(service.meters.text(), media_type=CONTENT_TYPE)


def _add_pages(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(reference_page(app.openapi()), media_type="text/html")

    @app.get("/docs/style.css", include_in_schema=False)
    async def style() -> Response:
        return Response(STYLE, media_type="text/css")

    index = STATIC / "index.html"

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(index) if index.is_file() else Response(_NO_PAGE, media_type="text/html")

    # Not mounted at "/", which would answer 404 for the API's paths where the method is wrong.
    for path in sorted(STATIC.iterdir()) if STATIC.is_dir() else ():
        if path.is_dir():
            app.mount(f"/{path.name}", StaticFiles(directory=path), name=path.name)
        else:
            app.add_route(f"/{path.name}", partial(_file, path), include_in_schema=False)


async def _file(path: Path, _: Request) -> Response:
    return FileResponse(path)


async def _form(request: Request, max_photos: int) -> tuple[list[bytes], list[tuple[str, str]]]:
    """The bytes of the photos, and the other fields. Raises Refusal for what is not a form, or too many of them."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refusal(415, "expected a body of Content-Type: multipart/form-data")
    parser = _InMemory(
        request.headers, request.stream(), max_files=max_photos, max_fields=_MAX_FIELDS, max_part_size=4 * MAX_REGION
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refusal(400, f"the form cannot be read ({' '.join(error.message.split())[:200]})") from None
    photos, fields = [], []
    try:
        for name, value in form.multi_items():
            if not isinstance(value, UploadFile):
                fields.append((name, value))
            elif name == "photos":
                photos.append(await value.read())
            else:
                raise Refusal(422, "a file in another field than 'photos'; send photos there")
    finally:
        await form.close()
    return photos, fields


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 40  # bytes: photos never go to a disk; the gate has limited them


async def _as_error(_: Request, error: Exception) -> Response:
    """The framework's own refusals, such as 404 and 405, in the form of ours."""
    assert isinstance(error, HTTPException)
    return _json(dumps({"error": str(error.detail)}), error.status_code, dict(error.headers or {}))


def _json(text: str, status: int = 200, headers: dict[str, Any] | None = None) -> Response:
    return Response(text.encode(), status, headers, media_type="application/json")
