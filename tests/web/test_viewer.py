"""The file of ``--map out.html``, opened from the disk: the page with its map, and nobody asked for anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earthclip.geo.sphere import great_circle_km
from earthclip.outputs.html_map import MANY, open_html_map
from tests.outputs.answers import FAILURE, PLACES, full
from tests.web.conftest import jpeg, screenshot, serious_faults
from tests.web.test_map import markers


@pytest.mark.slow
def test_the_file_shows_the_answers_without_a_network(open_page: Callable[..., Any], tmp_path: Path) -> None:
    photo = tmp_path / "etna.jpg"
    photo.write_bytes(jpeg((150, 80, 60)))
    path = tmp_path / "out.html"
    with open_html_map(path) as out:
        out.write(full(str(photo)))
        out.write(FAILURE)
    page = open_page(webgl=True, url=path.as_uri(), offline=True)
    page.wait_for_selector(".marker")
    assert great_circle_km(markers(page), PLACES)[0] < 25  # the second is behind the globe
    assert page.locator(".places .name").all_inner_texts()[0] == "near Catania, Italy"
    assert page.locator(".subject img").evaluate("image => image.complete && image.naturalWidth") == 90
    page.wait_for_function("() => earthclip.map.getLayer('surface') && earthclip.map.loaded()")
    for asking in ("#drop", "#words", "#region", "#privacy-switch", "#examples"):
        assert page.locator(asking).is_hidden()
    screenshot(page, "viewer")
    page.locator(".thumb").nth(1).click()
    assert "no such file" in page.locator(".error").inner_text()
    assert serious_faults(page) == []


def test_the_list_is_read_without_a_map_too(open_page: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    with open_html_map(path, caution="for views from above") as out:
        out.write(full(None, abstained=True))
    page = open_page(url=path.as_uri(), offline=True)
    assert page.locator(".places li").count() == 2
    assert page.locator("#verdict-title").inner_text() == "Location unknown"
    assert page.get_by_text("cannot be drawn in this browser").is_visible()
    assert np.isclose(float(page.locator(".coordinates").first.inner_text().split("°")[0]), PLACES[0, 0], atol=1e-3)


@pytest.mark.slow
def test_many_answers_are_seen_on_one_map_first(open_page: Callable[..., Any], tmp_path: Path) -> None:
    photo = tmp_path / "etna.jpg"
    photo.write_bytes(jpeg((150, 80, 60)))
    path = tmp_path / "out.html"
    with open_html_map(path) as out:
        for _ in range(MANY + 2):
            out.write(full(str(photo)))
        out.write(FAILURE)
    page = open_page(webgl=True, url=path.as_uri(), offline=True)
    assert page.locator(".overview h2").inner_text() == f"{MANY + 3} answers"
    assert f"{MANY + 2} on the map, each at its first guess, 1 failed" in page.locator(".overview p").inner_text()
    page.wait_for_function("() => earthclip.map.queryRenderedFeatures({layers: ['overview']}).length > 0")
    (cluster,) = page.evaluate("earthclip.map.queryRenderedFeatures({layers: ['overview']}).map((f) => f.properties)")
    assert cluster["point_count"] == MANY + 2
    assert serious_faults(page) == []
    screenshot(page, "overview")
    assert page.locator(".subject img").count() == 0
    page.locator("#names").select_option(str(MANY + 1))  # one that is packed
    page.wait_for_selector(".places")
    assert page.locator(".subject img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 90
    page.wait_for_function("() => earthclip.map.queryRenderedFeatures({layers: ['overview']}).length === 0")
    page.get_by_role("button", name="All answers").click()
    assert page.locator(".overview h2").is_visible()
