"""The pages and descriptions: what they say, HEAD as GET, and all of it below a path that a proxy puts before it."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from earthclip.outputs.html_map import STATIC
from earthclip.outputs.structured import answer_schema
from tests.server.running import Running, running

KEY = "correct-horse-battery-staple"
PAGES = ("/", "/docs", "/docs/style.css", "/openapi.json", "/healthz", "/readyz", "/v1/models", "/favicon.ico")


@pytest.fixture(scope="module")
def below_geo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("orbit", tmp_path_factory.mktemp("geo"), "--root-path", "/geo", EARTHCLIP_API_KEY=KEY) as server:
        yield server


def test_state_and_descriptions(server: Running) -> None:
    assert server.ask("GET", "/healthz").json == {"status": "alive"}
    assert server.ask("GET", "/readyz").json == {"status": "ready"}
    (model,) = server.ask("GET", "/v1/models").json["models"]
    assert model == {
        "name": "tiny",
        "default": True,
        "pictures": True,
        "words": False,
        "caution": None,
        "places": 50,
        "prior": "uniform over the sphere",
    }
    description = server.ask("GET", "/openapi.json").json
    assert set(description["paths"]) == {"/v1/locate", "/v1/embed", "/v1/models"}
    described = json.dumps(description["components"]["schemas"]).replace("#/components/schemas/", "#/$defs/")
    for name, part in answer_schema()["$defs"].items():
        assert json.loads(described)[name] == part
    assert json.loads(described)["Answer"]["properties"] == answer_schema()["properties"]
    page = server.ask("GET", "/docs")
    text = page.body.decode()
    assert page.status == 200 and "POST /v1/locate" in text and "top_k" in text
    assert "://" not in text.replace(f"http://{server.host}:{server.port}", "") and "<script" not in text
    assert "<code>photos</code>" in text and "<code>region</code>" in text and "photos[]" not in text


def test_headers_keep_pages_to_themselves(server: Running) -> None:
    reply = server.ask("GET", "/", headers={"Origin": "https://elsewhere.example"})
    assert reply.headers["x-content-type-options"] == "nosniff"
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert "server" not in reply.headers


def test_the_page_and_all_its_files_come_from_here(server: Running) -> None:
    assert server.ask("GET", "/").headers["content-type"].startswith("text/html")
    for path in STATIC.rglob("*"):
        if path.is_file():
            reply = server.ask("GET", f"/{path.relative_to(STATIC).as_posix()}")
            assert reply.status == 200 and reply.body == path.read_bytes(), path
            if path.suffix in (".js", ".mjs"):
                assert "javascript" in reply.headers["content-type"]


def test_the_browser_s_icon(server: Running) -> None:
    reply = server.ask("GET", "/favicon.ico")
    assert reply.status == 200 and reply.body == (STATIC / "icon.svg").read_bytes()
    assert reply.headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize("path", [*PAGES, "/metrics", "/icon.svg", "/nothing", "/v1/locate"])
def test_head_is_get_without_the_body(server: Running, path: str) -> None:
    head, get = server.ask("HEAD", path), server.ask("GET", path)
    assert (head.status, head.body) == (get.status, b"") and get.body
    for name in set(get.headers) - {"x-request-id"} - ({"content-length"} if path == "/metrics" else set()):
        assert head.headers[name] == get.headers[name]
    assert server.line_of(head)["method"] == "HEAD"


def test_head_keeps_to_the_same_rules(below_geo: Running, server: Running) -> None:
    assert below_geo.ask("HEAD", "/v1/models").status == 401
    assert server.ask("HEAD", "/", headers={"Host": "attacker.example"}).status == 421


@pytest.mark.parametrize("prefix", ["/geo", ""], ids=["a proxy that keeps the prefix", "a proxy that cuts it off"])
def test_below_a_path(below_geo: Running, prefix: str) -> None:
    server, key = below_geo, {"X-API-Key": KEY}
    assert f"127.0.0.1:{server.port}/geo (its API at http://127.0.0.1:{server.port}/geo/docs)" in server.said
    for path in PAGES:
        assert server.ask("GET", prefix + path, headers=key).status == 200, path
    assert server.ask("GET", f"{prefix}/openapi.json").json["servers"] == [{"url": "/geo"}]
    assert server.ask("GET", f"{prefix}/v1/models").status == 401
    assert server.ask("GET", f"{prefix}/metrics").status == 401
    assert server.ask("GET", f"{prefix}/v1/locate", headers=key).status == 405
    page = server.ask("GET", f"{prefix}/").body.decode()
    linked = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert len(linked) >= 3
    for address in linked:
        assert address.startswith("./"), address
        assert server.ask("GET", f"{prefix}/{address[2:]}").status == 200
    docs = server.ask("GET", f"{prefix}/docs").body.decode()
    for address in re.findall(r'href="([^"]+)"', docs):
        assert server.ask("GET", f"{prefix}/{address}", headers=key).status == 200, address


def test_a_path_without_its_last_slash_leads_to_the_page(below_geo: Running) -> None:
    reply = below_geo.ask("GET", "/geo")
    assert reply.status == 307 and reply.headers["location"].endswith("/geo/")


def test_other_paths_are_not_below_it(below_geo: Running) -> None:
    for path in ("/geology/v1/models", "/geov1/models", "/geo/geo/v1/models"):
        assert below_geo.ask("GET", path).status == 404


def test_the_examples_work_as_they_are_written(below_geo: Running, photo: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo)
    page = below_geo.ask("GET", "/geo/docs").body.decode()
    examples = [html.unescape(text) for text in re.findall("<pre>(.*?)</pre>", page)]
    answers = []
    for example in examples:
        done = subprocess.run(
            example, shell=True, cwd=tmp_path, capture_output=True, timeout=60, env={"EARTHCLIP_API_KEY": KEY}
        )
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    located, embedded, models = answers
    assert located["answers"][0]["region"] == "Norway or Sweden" and len(located["answers"][0]["predictions"]) == 3
    assert len(embedded["embeddings"]) == 1 and models["models"][0]["name"] == "orbit"


def test_the_description_names_fields_as_forms_do(below_geo: Running, server: Running) -> None:
    description = below_geo.ask("GET", "/openapi.json").json
    form = description["paths"]["/v1/locate"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert (
        form["properties"]["photos"]["items"]["format"] == "binary" and form["properties"]["region"]["type"] == "array"
    )
    assert description["paths"]["/v1/locate"]["post"]["security"] == [{"APIKeyHeader": []}, {"HTTPBearer": []}]
    assert "securitySchemes" not in server.ask("GET", "/openapi.json").json["components"]
