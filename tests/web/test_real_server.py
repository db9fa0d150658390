"""The page before `earthclip serve` with the built-in model: pictures and regions through everything there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earthclip.geo.sphere import great_circle_km
from tests.server.running import Running, running
from tests.web.conftest import drop, screenshot, tinted
from tests.web.test_map import markers

RED_SEA = Path(__file__).parents[2] / "examples" / "red-sea.jpg"


@pytest.fixture(scope="module")
def orbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("orbit", tmp_path_factory.mktemp("orbit")) as server:
        yield server


def places_of(answer: dict[str, Any]) -> np.ndarray:
    return np.array([(row["latitude"], row["longitude"]) for row in answer["predictions"]])


def answered(page: Any) -> None:
    page.wait_for_function("() => document.querySelector('.parts') && !document.querySelector('.parts[aria-busy]')")


@pytest.mark.slow
def test_a_picture_is_where_the_api_says_and_a_region_changes_it(open_page: Callable[..., Any], orbit: Running) -> None:
    photo = RED_SEA.read_bytes()
    (first,) = orbit.locate(photo).json["answers"]
    page = open_page(webgl=True, url=f"http://{orbit.host}:{orbit.port}/")
    drop(page, "red-sea.jpg", photo)
    answered(page)
    before = markers(page)
    assert great_circle_km(before, places_of(first)).max() < 10
    names = page.locator(".places .name").all_inner_texts()
    assert names == [row["place"]["text"] for row in first["predictions"]]
    page.wait_for_function("() => earthclip.map.getLayer('surface') && earthclip.map.loaded()")
    assert tinted(page) > 0.01
    screenshot(page, "orbit")
    frame = page.locator("#map").bounding_box()
    page.get_by_role("button", name="Draw a box").click()
    for x, y in ((0.1, 0.1), (0.9, 0.4)):
        page.mouse.click(frame["x"] + frame["width"] * x, frame["y"] + frame["height"] * y)
    page.wait_for_selector(".chips li")
    answered(page)
    drawn = page.locator(".chips li").first.inner_text()
    after = markers(page)
    assert len(after) and great_circle_km(after[:1], before[:1])[0] > 10, drawn
    page.locator(".chips button").first.click()
    answered(page)
    np.testing.assert_allclose(great_circle_km(markers(page), before), 0, atol=10)


@pytest.mark.slow
def test_a_typed_country_is_asked_of_the_real_server(open_page: Callable[..., Any], orbit: Running) -> None:
    photo = RED_SEA.read_bytes()
    (within,) = orbit.locate(photo, region="Saudi Arabia").json["answers"]
    assert within["region"] == "Saudi Arabia" and within["region_share"] < 1
    page = open_page(url=f"http://{orbit.host}:{orbit.port}/")
    drop(page, "red-sea.jpg", photo)
    answered(page)
    page.locator("#region-input").fill("Saudi Arabia")
    page.locator("#region-input").press("Enter")
    page.wait_for_selector(".chips li")
    answered(page)
    names = page.locator(".places .name").all_inner_texts()
    assert names == [row["place"]["text"] for row in within["predictions"]]
    assert page.locator(".verdict").inner_text().startswith("Without this restriction, the model gives this region ")
    screenshot(page, "orbit-region")
