"""Answers as one file that opens in any browser without a network: the server's page with the answers in it.

earthclip locate photo.jpg --map out.html
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from PIL import Image

from earthclip.errors import EarthCLIPError, OutputError
from earthclip.files import atomic_write, refuse_existing
from earthclip.locating.prediction import Prediction
from earthclip.models.sources import label_of
from earthclip.outputs.drawing import surface_of, to_answer
from earthclip.outputs.structured import dumps, without_folders
from earthclip.pictures.decode import decode_reduced
from earthclip.pictures.prepare import Failure

STATIC = Path(__file__).parent / "static"  # the page as web/ builds it: the server serves these files too
MANY = 12  # pictures, after which each is small and packed: 400 fill less than 5 MB
THUMBNAIL_PX, _SMALL_PX = 480, 112  # the longer side; 30 KB a picture, and 2 KB
# No address at all may be asked: what the page needs is in the file, as text or as data.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; font-src data:; "
    "img-src data: blob:; connect-src data: blob:; worker-src data: blob:; base-uri 'none'; form-action 'none'"
)


class HTMLMapWriter:
    """The whole document onto a text stream of UTF-8, one answer after the other; answers need their posterior.

    ``thumbnails`` puts small copies of the pictures in, of which only pixels are kept; a picture that cannot be read
    again goes without. ``caution`` is what the model is for. Raises OutputError as ``check_html_map`` does.
    """

    def __init__(
        self, stream: TextIO, *, thumbnails: bool = True, caution: str | None = None, full_paths: bool = False
    ) -> None:
        self._stream, self._thumbnails, self._caution, self._full_paths = stream, thumbnails, caution, full_paths
        self._models: dict[str, None] = {}  # a set that keeps the order
        self._separator, self._count = "", 0
        stream.write(_page().head + '{"answers": [\n')

    def write(self, answer: Prediction | Failure) -> None:
        """Write one answer."""
        many = self._count >= MANY
        value = _embedded(answer, self._thumbnails, self._full_paths, small=many)
        self._count += 1
        if "model" in value:
            self._models[value["model"]] = None
        if many:
            value = _packed(value)
        self._stream.write(self._separator + _safe(dumps(value)))
        self._separator = ",\n"

    def close(self) -> None:
        """Write what follows the answers: the model, the geography, the page's own scripts."""
        model = {"name": label_of(self._models or [""]), "caution": self._caution}
        self._stream.write(f'\n],\n"model": {_safe(dumps(model))}}}{_page().tail}')
        self._stream.flush()


@contextlib.contextmanager
def open_html_map(
    path: Path,
    *,
    thumbnails: bool = True,
    caution: str | None = None,
    overwrite: bool = False,
    full_paths: bool = False,
) -> Iterator[HTMLMapWriter]:
    """A writer into a file that appears, complete, when the block ends well. Raises as ``check_html_map`` does."""
    check_html_map(path, overwrite=overwrite)
    with atomic_write(path, overwrite=overwrite) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
        out = HTMLMapWriter(text, thumbnails=thumbnails, caution=caution, full_paths=full_paths)
        yield out
        out.close()
        text.detach()


def check_html_map(path: Path, *, overwrite: bool = False) -> None:
    """Raise OutputError when ``path`` exists and not ``overwrite``, or the page was not built into this package."""
    _page()
    if not overwrite:
        refuse_existing(path)


def _embedded(answer: Prediction | Failure, thumbnails: bool, full_paths: bool, small: bool) -> dict[str, Any]:
    named = answer if full_paths else without_folders(answer)
    value = to_answer(named)
    if isinstance(answer, Prediction) and answer.posterior is not None:
        value["surface"] = surface_of(answer.posterior, cells=False, fine=not small)
    if thumbnails and answer.path is not None and (picture := _thumbnail(Path(answer.path), small)):
        value["thumbnail"] = picture
    return value


def _packed(value: dict[str, Any]) -> dict[str, Any]:
    """The value so that it is unpacked when it is looked at; what an overview shows of it is beside it."""
    seen: dict[str, Any] = {name: value[name] for name in ("path", "text", "error") if name in value}
    if value.get("predictions"):
        best = value["predictions"][0]
        seen["best"] = [best["latitude"], best["longitude"]]
    return seen | {"packed": _deflated(dumps(value))}


def _deflated(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(errors="replace"), 9)).decode()


def _thumbnail(path: Path, small: bool) -> str | None:
    """The picture, small, without metadata in a data address; None where it cannot be read."""
    longest = _SMALL_PX if small else THUMBNAIL_PX
    try:
        picture = decode_reduced(path, longest).image
    except EarthCLIPError:
        return None
    pixels = Image.new("RGB", picture.size)  # a new picture has no profile and no EXIF to be saved along
    pixels.paste(picture)
    pixels.thumbnail((longest, longest))
    buffer = io.BytesIO()
    kind = "webp" if small else "jpeg"
    pixels.save(buffer, kind, quality=50 if small else 80)
    return _data(buffer.getvalue(), f"image/{kind}")


@dataclass(frozen=True)
class _Page:
    """The document up to the list of answers, and from its end on."""

    head: str
    tail: str


@cache
def _page() -> _Page:
    if not (STATIC / "manifest.json").is_file():
        raise OutputError(
            "the map page is missing from this installation; install a wheel, or run 'npm ci && npm run build' in web/"
        )
    manifest = json.loads(_read("manifest.json"))
    entry = manifest["index.html"]
    text = re.sub(r"\s*<(script|link)\b[^>]*(src|href)=[^>]*>(</script>)?", "", _read("index.html"))
    text = re.sub(r'(http-equiv="Content-Security-Policy"\s+content=)"[^"]*"', rf'\1"{html.escape(_POLICY)}"', text)
    styles = "\n".join(_with_fonts(sheet) for sheet in entry["css"])
    icon = _data((STATIC / "icon.svg").read_bytes(), "image/svg+xml")
    text = text.replace("</head>", f'<link rel="icon" href="{icon}">\n<style>{styles}</style>\n</head>')
    before, after = text.split("</body>")
    geography = _deflated(_read(manifest["src/geography.json"]["file"]))
    worker = _deflated(_read(manifest["node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs"]["file"]))
    return _Page(
        head=f'{before}<script type="application/json" id="earthclip-answers">',
        tail=(
            "</script>\n"
            f'<script type="text/plain" id="earthclip-geography">{geography}</script>\n'
            f'<script type="text/plain" id="earthclip-worker">{worker}</script>\n'
            f'<script type="module">{_script(_read(entry["file"]))}</script>\n</body>{after}'
        ),
    )


def _with_fonts(sheet: str) -> str:
    """A style sheet with the fonts it names in it, beside which they stand."""

    def embedded(match: re.Match[str]) -> str:
        font = (STATIC / "assets" / match[1]).read_bytes()
        return f"url({_data(font, 'font/woff2')})"

    return re.sub(r"url\([\"']?\./([\w.-]+\.woff2)[\"']?\)", embedded, _read(sheet))


def _read(name: str) -> str:
    return (STATIC / name).read_text("utf-8")


def _data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _safe(text: str) -> str:
    """JSON that cannot end, or open, an element of HTML."""
    return text.replace("<", "\\u003c")


def _script(text: str) -> str:
    """JavaScript that cannot either: in its strings and patterns, the only places, a backslash changes nothing."""
    return re.sub(r"<(?=/script|script|!--)", r"\\x3c", text, flags=re.IGNORECASE)
