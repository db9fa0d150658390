"""The API's reference as one page without scripts, written from its OpenAPI description: nothing comes from a CDN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8886; margin-top: 2rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8886; border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8883; }
"""
_EXAMPLES = {
    "/v1/locate": "-F photos=@photo.jpg -F top_k=3 -F region=Norway -F region=Sweden ",
    "/v1/embed": "-H 'Content-Type: application/json' -d '{\"coordinates\": [[59.91, 10.75]]}' ",
    "/v1/models": "",
}
_KEY = '-H "X-API-Key: $EARTHCLIP_API_KEY" '
_STATE = (
    ("healthz", "200 while the process runs"),
    ("readyz", "200 when the model is open, 503 before"),
    ("metrics", "counters for Prometheus"),
    ("openapi.json", "this description, for programs"),
)


def reference_page(description: dict[str, Any], address: str, *, with_key: bool) -> str:
    """The HTML of the page at ``address``/docs; its examples send an API key where one is needed."""
    sections = [
        _section(path, method, operation, description["components"]["schemas"])
        + f"<pre>curl {escape((_KEY if with_key else '') + _EXAMPLES[path] + address + path)}</pre></section>"
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    state = _table(("GET", "answers"), [(f'<a href="{path}"><code>/{path}</code></a>', what) for path, what in _STATE])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>EarthCLIP: the API</title>'
        '<link rel="icon" href="icon.svg"><link rel="stylesheet" href="docs/style.css"></head><body>'
        f"<h1>EarthCLIP {escape(description['info']['version'])}: the API</h1>"
        f"<p>{_text(description['info']['description'])}</p>{''.join(sections)}"
        f"<section><h2>State</h2>{state}</section></body></html>"
    )


def _section(path: str, method: str, operation: dict[str, Any], models: dict[str, Any]) -> str:
    parts = [f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{_text(operation['description'])}</p>"]
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h3>Body, <code>{escape(media_type)}</code></h3>{_fields(body['schema'], models)}")
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    refusals = [(code, _text(r["description"])) for code, r in sorted(operation["responses"].items()) if code != "200"]
    parts += [f"<h3>Answer</h3>{_fields(answer, models)}<h3>Refusals</h3>{_table(('status', 'why'), refusals)}"]
    return "".join([*parts, "<h3>Example</h3>"])


def _fields(schema: dict[str, Any], models: dict[str, Any]) -> str:
    return _table(("field", "type", ""), list(_rows(_resolved(schema, models)[1], models, "")))


def _rows(schema: dict[str, Any], models: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in schema.get("properties", {}).items():
        kind, inner = _resolved(field, models)
        default = f" [{str(field['default']).lower()}]" if field.get("default") not in (None, "", []) else ""
        yield f"<code>{prefix}{name}</code>", escape(kind), _text(field.get("description", "") + default)
        yield from _rows(inner, models, f"{prefix}{name}.")


def _resolved(schema: dict[str, Any], models: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What a field holds in a word or two, and the schema of its objects."""
    if "anyOf" in schema:  # what may be null
        kind, inner = _resolved(schema["anyOf"][0], models)
        return f"{kind} or null", inner
    if "$ref" in schema:
        return "object", models[schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "array":
        kind, inner = _resolved(schema["items"], models)
        return f"{kind}[]", inner
    if schema.get("format") == "binary":
        return "file", schema
    kinds = schema.get("enum") or (schema["type"] if isinstance(schema["type"], list) else [schema["type"]])
    return " or ".join(kind or "null" for kind in kinds), schema


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<table><thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead><tbody>{lines}</tbody></table>"
    )


def _text(text: str) -> str:
    """Escaped, with `code` set as such."""
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
