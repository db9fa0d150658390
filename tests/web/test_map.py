"""The page with its map: what is drawn is where the API says, and a region drawn changes the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earthclip.geo.sphere import great_circle_km
from tests.web.conftest import drop, jpeg, screenshot, tinted
from tests.web.mock import PUNO, MockServer, answer_around

_MARKERS = """() => [...document.querySelectorAll(".marker[data-rank]")].map(marker => {
    const box = marker.getBoundingClientRect(), map = earthclip.map.getContainer().getBoundingClientRect();
    const at = earthclip.map.unproject([box.x + box.width / 2 - map.x, box.y + box.height / 2 - map.y]);
    return [at.lat, at.lng];
})"""


def markers(page: Any) -> np.ndarray:
    page.wait_for_function("() => earthclip.map.loaded() && !earthclip.map.isMoving()")
    return np.array(page.evaluate(_MARKERS))


def answered(page: Any, times: int, server: MockServer) -> None:
    page.wait_for_function("() => document.querySelector('.parts') && !document.querySelector('.parts[aria-busy]')")
    assert len(server.asked) == times


@pytest.mark.slow
def test_a_dropped_picture_is_answered_where_the_api_says(
    open_page: Callable[..., Any], server: MockServer, tmp_path: Path
) -> None:
    page = open_page(webgl=True)
    screenshot(page, "empty")
    drop(page, "IMG_1234.jpg", jpeg((150, 80, 60), position=True))
    answered(page, 1, server)
    expected = answer_around(PUNO, [])["predictions"]
    places = np.array([(row["latitude"], row["longitude"]) for row in expected])
    assert great_circle_km(markers(page), places).max() < 10  # 2 pixels
    # Its own position is drawn apart from the answers', and the distance is told
    assert page.locator(".marker.own").count() == 1
    off = great_circle_km(np.array(PUNO), places[0])
    assert f"{off:.1f} km off" in page.locator(".comparison").inner_text()
    assert "inside the 50 % region" in page.locator(".comparison").inner_text()
    lines = page.evaluate("earthclip.map.queryRenderedFeatures({layers: ['half', 'ninety']}).length")
    assert tinted(page) > 0.05
    assert lines >= 2
    screenshot(page, "answer")
    with page.expect_download() as download:
        page.get_by_role("button", name="GeoJSON").click()
    features = json.loads(Path(download.value.path()).read_text("utf-8"))["features"]
    assert features[0]["geometry"]["coordinates"] == [places[0, 1], places[0, 0]]
    assert [f["properties"].get("mass") for f in features] == [None] * 5 + [0.5, 0.9]
    page.locator("#theme").click()
    page.wait_for_function("() => earthclip.map.isStyleLoaded() && earthclip.map.loaded()")
    page.wait_for_function("() => earthclip.map.getLayer('surface') && earthclip.map.loaded()")
    assert tinted(page) > 0.05  # survives the other style
    screenshot(page, "dark")


@pytest.mark.slow
def test_a_drawn_region_changes_the_answer(open_page: Callable[..., Any], server: MockServer) -> None:
    page = open_page(webgl=True)
    drop(page, "a.jpg", jpeg((150, 80, 60)))
    answered(page, 1, server)
    before = markers(page)
    frame = page.locator("#map").bounding_box()
    page.get_by_role("button", name="Draw a box").click()
    for x, y in ((0.1, 0.15), (0.45, 0.4)):
        page.mouse.click(frame["x"] + frame["width"] * x, frame["y"] + frame["height"] * y)
    page.wait_for_selector(".chips li")
    answered(page, 2, server)
    (region,) = server.asked[-1].get("region")
    south, west, north, east = (float(side) for side in region.split(","))
    assert south < north
    assert west < east
    after = markers(page)
    assert ((after > [south, west]) & (after < [north, east])).all()
    assert np.abs(after - before).max() > 1
    screenshot(page, "region")
    # A polygon joins it, and both are asked for
    page.get_by_role("button", name="Draw a polygon").click()
    for x, y in ((0.6, 0.6), (0.8, 0.6), (0.7, 0.8)):
        page.mouse.click(frame["x"] + frame["width"] * x, frame["y"] + frame["height"] * y)
    page.locator("#draw-hint").get_by_role("button", name="Done").click()
    page.wait_for_function("() => document.querySelectorAll('.chips li').length === 2")
    answered(page, 3, server)
    assert json.loads(server.asked[-1].get("region")[1])["type"] == "Polygon"
    # Escape gives up
    page.get_by_role("button", name="Draw a box").click()
    page.keyboard.press("Escape")
    assert page.locator("#draw-hint").is_hidden()
    assert page.locator(".chips li").count() == 2
