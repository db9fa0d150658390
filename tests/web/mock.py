"""A server with the page and the API's contract, whose answers are known: what a test sees it must have drawn.

A picture is answered around the place its mean colour stands for, words around Kyoto; a box restricts the places.
"""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import healpix
import numpy as np
import shapely
import shapely.affinity
from PIL import Image

from earthclip.outputs.drawing import cell_outlines
from earthclip.outputs.html_map import STATIC

LEVEL = 5  # cells of 204 km
CELLS = 400  # drawn; a browser without a graphics card is slow
TURNS = (-360, 0, 360)
MODEL = {
    "name": "orbit",
    "default": True,
    "pictures": True,
    "words": True,
    "caution": "works on satellite-like views, 400 to 3,000 km wide; it cannot locate ordinary photos",
    "places": 50_000,
    "prior": "uniform over land",
}
PUNO, KYOTO, FIJI = (-15.84, -70.02), (35.01, 135.77), (-17.8, 178.9)


@dataclass
class Asked:
    """One question as it came."""

    photos: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]


class MockServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(STATIC)))
        self.asked: list[Asked] = []
        self.model: dict[str, Any] = MODEL
        self.first: list[dict[str, Any]] = []  # a model that is asked before it
        self.refusals: list[tuple[int, str]] = []  # given, one a question, before any answer
        self.changes: dict[str, Any] = {}  # of every answer's keys
        self.delay = threading.Event()
        self.delay.set()  # cleared: answers wait

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


@contextmanager
def serving() -> Iterator[MockServer]:
    with MockServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.delay.set()
            server.shutdown()
            thread.join()


class _Handler(SimpleHTTPRequestHandler):
    server: MockServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._send({"models": [*self.server.first, self.server.model]})
        else:
            super().do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/locate":
            self._send({"error": "no such address"}, 404)
            return
        asked = _parse(self.headers["Content-Type"], body)
        self.server.asked.append(asked)
        self.server.delay.wait(20)
        if self.server.refusals:
            status, reason = self.server.refusals.pop(0)
            self._send({"error": reason}, status)
            return
        regions = asked.get("region")
        if any(region.isalpha() and len(region) != 3 for region in regions):
            self._send({"error": f"region: '{regions[0]}' is no country; write its name, or an ISO 3166 code"}, 422)
            return
        centre = _centre(asked)
        answer = answer_around(centre, regions, next(iter(asked.get("text")), None))
        self._send({"model": "orbit", "answers": [answer | self.server.changes]})

    def _send(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)


def answer_around(centre: tuple[float, float], regions: list[str], text: str | None = None) -> dict[str, Any]:
    """The whole object of an answer, a bump around ``centre`` cut to the boxes among ``regions``."""
    sides = 1 << LEVEL
    cells = np.arange(12 * sides**2)
    longitude, latitude = healpix.pix2ang(sides, cells, nest=True, lonlat=True)
    longitude = (longitude + 180) % 360 - 180
    away = np.hypot(latitude - centre[0], _turn(longitude - centre[1]) * np.cos(np.radians(latitude)))
    weight = np.exp(-((away / 4) ** 2)) + 0.02 * np.exp(-(((away - 9) / 2) ** 2))
    for south, west, north, east in (_box(region) for region in regions if region.count(",") == 3):
        across = (
            (longitude >= west) & (longitude <= east) if west <= east else (longitude >= west) | (longitude <= east)
        )
        weight = np.where((latitude >= south) & (latitude <= north) & across, weight + 1e-9, 0)
    weight /= weight.sum()
    best = np.argsort(-weight)[:CELLS]
    best = best[weight[best] > 0]
    outlines = cell_outlines(best, LEVEL)[:, :, ::-1]
    predictions = [
        {
            "latitude": round(float(latitude[cell]), 6),
            "longitude": round(float(longitude[cell]), 6),
            "probability": float(f"{weight[cell]:.4g}"),
            "place": {
                "name": f"Place {rank}", "admin": "Somewhere", "country": "Nowhere", "country_code": "XX",
                "distance_km": 10.0 * rank, "text": f"near Place {rank}, Nowhere",
            },
        }
        for rank, cell in enumerate(best[:5], start=1)
    ]  # fmt: skip
    credible = [_credible(weight[best], outlines, mass) for mass in (0.5, 0.9)]
    sentence = f"Somewhere in the region of Place 1: {weight[best[0]]:.0%} of the probability lies within 200 km."
    return {
        "path": None,
        "text": text,
        "model": "orbit",
        "predictions": predictions,
        "verdict": {"level": "region", "radius_km": 200, "mass": 0.61, "sentence": sentence},
        "credible": credible,
        "surface": {
            "level": LEVEL,
            "cells": best.tolist(),
            "probabilities": [float(f"{p:.4g}") for p in weight[best]],
            "polygons": outlines.round(4).tolist(),
            "most": "2.1 % per 10,000 km²",
            "images": [_image(best[0])],
        },
    }


def _image(cell: int) -> dict[str, Any]:
    """A hill around a cell, as the server draws it."""
    longitude, latitude = healpix.pix2ang(2**LEVEL, int(cell), nest=True, lonlat=True)
    side = np.linspace(-1, 1, 64)
    grey = 255 * np.clip(1 - np.hypot(side, side[:, None]), 0, 1)
    buffer = io.BytesIO()
    Image.fromarray(grey.astype(np.uint8)).save(buffer, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    west = float(longitude + 180) % 360 - 190
    return {"url": url, "south": float(latitude) - 8, "west": west, "east": west + 20, "north": float(latitude) + 8}


def _credible(weight: np.ndarray, outlines: np.ndarray, mass: float) -> dict[str, Any]:
    count = int(np.searchsorted(np.cumsum(weight), mass * weight.sum())) + 1
    cells = shapely.union_all(shapely.polygons(outlines[:count]), grid_size=1e-5)
    turns = [shapely.affinity.translate(cells, turn).intersection(shapely.box(-180, -90, 180, 90)) for turn in TURNS]
    union = shapely.union_all(turns)
    multi = shapely.MultiPolygon([union]) if union.geom_type == "Polygon" else union
    area = count * 4 * np.pi * 6371.0088**2 / (12 * 4**LEVEL)
    return {"mass": mass, "area_km2": area, "geometry": shapely.geometry.mapping(multi)}


def _centre(asked: Asked) -> tuple[float, float]:
    if not asked.photos:
        return KYOTO
    red, green, blue = np.asarray(Image.open(io.BytesIO(asked.photos[0])).convert("RGB")).mean((0, 1))
    return FIJI if green > max(red, blue) + 40 else PUNO


def _parse(content_type: str, body: bytes) -> Asked:
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    asked = Asked()
    for part in message.get_payload():
        assert isinstance(part, Message)
        name = str(part.get_param("name", header="content-disposition"))
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        if name == "photos":
            asked.photos.append(payload)
            asked.names.append(part.get_filename())
        else:
            asked.fields.append((name, payload.decode()))
    return asked


def _box(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(","))


def _turn(longitude: np.ndarray) -> np.ndarray:
    return (longitude + 180) % 360 - 180


if __name__ == "__main__":  # the page with known answers, to develop it: python -m tests.web.mock
    with serving() as running:
        print(running.url)
        threading.Event().wait()
