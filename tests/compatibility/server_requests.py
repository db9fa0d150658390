"""What the server of 0.1.0 was asked: the same requests go to the server of today."""

from __future__ import annotations

import json
from pathlib import Path

from tests.server.running import FORM, Reply, Running, form

JSON = {"Content-Type": "application/json"}


def replies(server: Running, pictures: Path) -> dict[str, Reply]:
    """The reply to each request, by the name of the file that keeps it."""
    photos = [(pictures / name).read_bytes() for name in ("00.jpg", "01.jpg", "07.jpg")]
    full = form(*photos, top_k="3", region="-80,-180,80,180", surface="1")
    coordinates = json.dumps({"coordinates": [[59.91, 10.75], [-33.86, 151.21]]})
    return {
        "locate": server.ask("POST", "/v1/locate", full, FORM),
        "locate-text": server.ask("POST", "/v1/locate", form(text="snow over a volcano", outlines="0"), FORM),
        "embed": server.ask("POST", "/v1/embed", coordinates.encode(), JSON),
        "models": server.ask("GET", "/v1/models"),
        "refused": server.ask("POST", "/v1/locate", form(photos[0], top_k="0"), FORM),
        "openapi": server.ask("GET", "/openapi.json"),
    }
