"""The self-contained file: complete, closed to the network, and no way out of it for what it is given."""

from __future__ import annotations

import base64
import io
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from earthclip.errors import OutputError
from earthclip.outputs import html_map
from earthclip.outputs.html_map import MANY, STATIC, THUMBNAIL_PX, HTMLMapWriter
from tests.outputs.answers import FAILURE, HOSTILE, bare, full

pytestmark = pytest.mark.skipif(not (STATIC / "manifest.json").is_file(), reason="the page is not built")


def written(*answers: Any, **options: Any) -> str:
    stream = io.StringIO()
    out = HTMLMapWriter(stream, **options)
    for answer in answers:
        out.write(answer)
    out.close()
    return stream.getvalue()


def embedded(document: str) -> dict[str, Any]:
    (found,) = re.findall(r'<script type="application/json" id="earthclip-answers">(.*?)</script>', document, re.S)
    values: dict[str, Any] = json.loads(found)
    return values


def test_answers_are_embedded_with_all_a_map_needs() -> None:
    values = embedded(written(full(None), bare(None), caution="for views from above"))
    assert values["model"] == {"name": "orbit", "caution": "for views from above"}
    first, second = values["answers"]
    assert first["predictions"][0]["place"]["text"] == "near Catania, Italy"
    assert first["credible"][1]["geometry"]["type"] == "MultiPolygon"
    (image, *_) = first["surface"]["images"]
    assert image["url"].startswith("data:image/png;base64,") and image["west"] < image["east"]
    assert first["surface"]["most"].endswith("km²")
    assert "verdict" not in second


def test_no_answer_is_a_document_too() -> None:
    assert embedded(written())["answers"] == []


def test_what_it_is_given_stays_data() -> None:
    document = written(FAILURE, full(f"photos/{HOSTILE}", text="</script><!--<script>"))
    plain = written(full(None))
    assert document.count("<script") == plain.count("<script") == 4
    assert document.count("</script") == 4
    failed, answer = embedded(document)["answers"]
    assert failed["error"].endswith("no such file")
    assert answer["text"] == "</script><!--<script>"


def test_folders_are_not_passed_on() -> None:
    document = written(full("/home/maria/secret project/etna.jpg"), thumbnails=False)
    assert "maria" not in document
    assert embedded(document)["answers"][0]["path"] == "etna.jpg"


def test_nothing_is_asked_of_anybody() -> None:
    document = written(full(None))
    policy = re.search(r'Content-Security-Policy"\s+content="([^"]*)"', document)
    assert policy is not None
    assert "http" not in policy[1]
    assert "self" not in policy[1]
    assert not re.search(r"<(script|link|img)\b[^>]*\b(src|href)=[\"'](?!data:)", document.split("<body")[0])
    assert len(document.encode()) < 2_000_000


@pytest.mark.parametrize("thumbnails", [True, False])
def test_thumbnails_are_small_and_of_pixels_only(tmp_path: Path, thumbnails: bool) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Canon"
    Image.new("RGB", (1600, 800), (200, 30, 30)).save(tmp_path / "a.jpg", exif=exif)
    answer = embedded(written(full(str(tmp_path / "a.jpg")), thumbnails=thumbnails))["answers"][0]
    assert ("thumbnail" in answer) == thumbnails
    if thumbnails:
        head, _, content = answer["thumbnail"].partition(",")
        assert head == "data:image/jpeg;base64"
        picture = Image.open(io.BytesIO(base64.b64decode(content)))
        assert picture.size == (THUMBNAIL_PX // 2, THUMBNAIL_PX)  # upright
        assert dict(picture.getexif()) == {}


def test_an_installation_without_the_page_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    html_map._page.cache_clear()
    monkeypatch.setattr(html_map, "STATIC", tmp_path)
    with pytest.raises(OutputError, match="npm ci && npm run build"):
        written(full(None))
    html_map._page.cache_clear()


def test_many_answers_are_small_and_without_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    Image.effect_noise((1600, 800), 60).convert("RGB").save(tmp_path / "a.jpg", exif=exif)
    *_, first, last = embedded(written(*[full(str(tmp_path / "a.jpg"))] * (MANY + 1)))["answers"]
    assert last["best"] == [37.751012, 14.9934] and len(last["packed"]) < 7000
    values = json.loads(zlib.decompress(base64.b64decode(last["packed"])))
    head, _, content = values["thumbnail"].partition(",")
    assert head == "data:image/webp;base64" and b"Canon" not in base64.b64decode(content)
    for exact, rough in zip(first["surface"]["images"], values["surface"]["images"], strict=True):
        assert rough["url"].startswith("data:image/webp;base64,") and rough["north"] == exact["north"]
        picture = Image.open(io.BytesIO(base64.b64decode(rough["url"].partition(",")[2])))
        assert picture.convert("L").getextrema()[1] > 150
