"""The API's reference as one page without scripts, written from its OpenAPI description: nothing comes from a CDN."""

from __future__ import annotations

from collections.abc import Sequence
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
    "/v1/locate": "curl -F photos=@photo.jpg -F top_k=3 -F region=Norway {}/v1/locate",
    "/v1/embed": "curl -H 'Content-Type: application/json' -d '{{\"coordinates\": [[59.91, 10.75]]}}' {}/v1/embed",
    "/v1/models": "curl {}/v1/models",
}
_STATE = (
    ("/healthz", "200 while the process runs"),
    ("/readyz", "200 when the model is open, 503 before"),
    ("/metrics", "counters for Prometheus"),
    ("/openapi.json", "this description, for programs"),
)


def reference_page(description: dict[str, Any], at: str = "http://localhost:8000") -> str:
    """The page's HTML."""
    sections = [
        _section(path, method, operation, at)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    state = _table(("GET", "answers"), [(f'<a href="{path}"><code>{path}</code></a>', what) for path, what in _STATE])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>EarthCLIP: the API</title>'
        '<link rel="stylesheet" href="/docs/style.css"></head><body>'
        f"<h1>EarthCLIP {escape(description['info']['version'])}: the API</h1>"
        f"<p>{_text(description['info']['description'])}</p>{''.join(sections)}"
        f"<section><h2>State</h2>{state}</section></body></html>"
    )


def _section(path: str, method: str, operation: dict[str, Any], at: str) -> str:
    parts = [f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{_text(operation['description'])}</p>"]
    if path in _EXAMPLES:
        parts.append(f"<pre>{escape(_EXAMPLES[path].format(at))}</pre>")
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h3>Body, <code>{escape(kind)}</code></h3>{_fields(body['schema'])}")
    for code, response in sorted(operation["responses"].items()):
        if code == "200":
            schema = response["content"]["application/json"]["schema"]
            parts.append(f"<h3>Answer</h3>{_fields(schema)}")
    codes = [(code, _text(r["description"])) for code, r in sorted(operation["responses"].items()) if code != "200"]
    return "".join([*parts, f"<h3>Refusals</h3>{_table(('status', 'why'), codes)}</section>"])


def _fields(schema: dict[str, Any]) -> str:
    return _table(("field", "type", ""), list(_rows(schema, "")))


def _rows(schema: dict[str, Any], prefix: str) -> list[tuple[str, str, str]]:
    rows = []
    for name, inner in schema.get("properties", {}).items():
        item, dots = inner, ""
        while item.get("type") == "array":
            item, dots = item["items"], dots + "[]"
        told = _text(inner.get("description") or item.get("description") or "")
        default = f" [{inner['default']}]" if "default" in inner else ""
        rows.append((f"<code>{escape(prefix + name + dots)}</code>", escape(_type(item)), told + escape(default)))
        rows += _rows(item, f"{prefix}{name}{dots}.")
    return rows


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    kind = schema.get("type", "any")
    return "file" if schema.get("format") == "binary" else kind if isinstance(kind, str) else " or ".join(kind)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<table><thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead><tbody>{lines}</tbody></table>"
    )


def _text(text: str) -> str:
    """Escaped, with `code` set as such."""
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
