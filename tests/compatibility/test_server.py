"""The server of today replies to the requests of 0.1.0 with every field there was; its API has every path and field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.compatibility.conftest import DATA
from tests.compatibility.reading import Fields, check_same_places, fields, lost
from tests.compatibility.server_requests import replies
from tests.server.running import Reply, running

STATUS = {"refused": 422}


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Reply]]:
    with running(DATA / "models" / "full", tmp_path_factory.mktemp("server"), "--runtime", "onnxruntime") as server:
        yield replies(server, DATA / "pictures")


def before(name: str) -> Any:
    return json.loads((DATA / "server" / f"{name}.json").read_text())


@pytest.mark.parametrize("name", ["locate", "locate-text", "embed", "models", "refused"])
def test_replies(now: dict[str, Reply], name: str) -> None:
    reply = now[name]
    assert reply.status == STATUS.get(name, 200)
    assert lost(fields(before(name)), fields(reply.json)) == {}


def test_the_same_is_answered(now: dict[str, Reply]) -> None:
    for name in ("locate", "locate-text"):
        check_same_places(before(name)["answers"], now[name].json["answers"])
    np.testing.assert_allclose(now["embed"].json["embeddings"], before("embed")["embeddings"], atol=1e-5)
    (model,) = now["models"].json["models"]
    (known,) = before("models")["models"]
    assert {name: model[name] for name in known} == known


def test_the_description_has_all_paths_and_fields(now: dict[str, Reply]) -> None:
    old, new = before("openapi"), now["openapi"].json
    for path, methods in old["paths"].items():
        for method, operation in methods.items():
            current = new["paths"][path][method]
            assert set(operation["responses"]) <= set(current["responses"]), path
            answers = [described(api, one["responses"]["200"]) for api, one in ((old, operation), (new, current))]
            assert lost(*answers) == {}, path
            if "requestBody" in operation:
                asked = [described(api, one["requestBody"]) for api, one in ((old, operation), (new, current))]
                assert set(asked[0]) <= set(asked[1]), path
                assert needed(new, current["requestBody"]) <= needed(old, operation["requestBody"]), path


def schema_of(api: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The one schema of a request or a response, whatever its media type."""
    (content,) = body["content"].values()
    return resolved(api, content["schema"])


def resolved(api: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = api["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def described(api: dict[str, Any], body: dict[str, Any]) -> Fields:
    return dict(walk(api, schema_of(api, body), ""))


def needed(api: dict[str, Any], body: dict[str, Any]) -> set[str]:
    return set(schema_of(api, body).get("required", []))


def walk(api: dict[str, Any], schema: dict[str, Any], name: str) -> Iterator[tuple[str, set[str]]]:
    """Each field of a schema with its types; an integer is a number."""
    schema = resolved(api, schema)
    choices = [resolved(api, choice) for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))] or [schema]
    types = {kind for choice in choices for kind in np.atleast_1d(choice.get("type", "object")).tolist()}
    yield name, {"number" if kind == "integer" else kind for kind in types}
    for choice in choices:
        for key, inner in choice.get("properties", {}).items():
            yield from walk(api, inner, f"{name}.{key}")
        if "items" in choice:
            yield from walk(api, choice["items"], f"{name}[]")
