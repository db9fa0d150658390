"""The page apart from its map: what is sent, many pictures, words, errors, privacy, keyboard, themes, phones."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.web.conftest import drop, jpeg, screenshot, serious_faults
from tests.web.mock import KYOTO, MODEL, MockServer

Open = Callable[..., Any]
NOWHERE = {
    "level": None,
    "radius_km": None,
    "mass": 0.4,
    "sentence": "Location unknown: no region stands out (only 40 % of the probability within 2,500 km of guess 1)",
}


def files(*pictures: tuple[str, str, bytes]) -> list[dict[str, Any]]:
    return [{"name": name, "mimeType": kind, "buffer": content} for name, kind, content in pictures]


@pytest.mark.parametrize("orientation", [1, 6])
def test_only_pixels_and_their_orientation_are_sent(open_page: Open, server: MockServer, orientation: int) -> None:
    original = jpeg((150, 80, 60), orientation, position=True)
    page = open_page()
    drop(page, "at home with the children.jpg", original)
    page.wait_for_selector(".places")
    (asked,) = server.asked
    assert asked.names == ["photo"]
    sent = Image.open(io.BytesIO(asked.photos[0]))
    assert dict(sent.getexif()) == ({0x0112: 6} if orientation == 6 else {})
    for secret in (b"EOS", b"GPS", b"2024", b"SN12345", b"home", b"film"):
        assert secret not in asked.photos[0]
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(original)))
    assert np.array_equal(np.asarray(ImageOps.exif_transpose(sent)), np.asarray(upright))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_other_formats_lose_their_metadata_too(open_page: Open, server: MockServer, kind: str) -> None:
    picture = Image.open(io.BytesIO(jpeg((150, 80, 60), 6, position=True)))
    buffer = io.BytesIO()
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {"comment": b"EOS"} if kind == "GIF" else {}
    picture.save(buffer, kind, exif=picture.getexif(), **options)
    assert b"EOS" in buffer.getvalue()
    page = open_page()
    drop(page, f"a.{kind.lower()}", buffer.getvalue(), f"image/{kind.lower()}")
    page.wait_for_selector(".places")
    content = server.asked[0].photos[0]
    assert b"EOS" not in content
    sent = Image.open(io.BytesIO(content))
    if kind != "GIF":  # a GIF is drawn anew as JPEG
        assert sent.format == kind
        assert dict(sent.getexif()) == {0x0112: 6}
        assert np.array_equal(np.asarray(sent.convert("RGB")), np.asarray(picture))


def test_a_file_whose_metadata_stays_is_sent_by_consent_only(open_page: Open, server: MockServer) -> None:
    page = open_page()
    unknown = b"\0\0\0\x18ftypheic....Exif\0\0" + jpeg((1, 2, 3), position=True)[12:]
    page.set_input_files("#files", files(("a.heic", "image/heic", unknown)))
    page.get_by_text("Nothing was sent").wait_for()
    assert server.asked == []
    server.refusals = [(415, "photos: not a picture")]
    page.get_by_role("button", name="Send it with its metadata").click()
    page.get_by_text("photos: not a picture", exact=True).wait_for()
    assert server.asked[0].photos == [unknown]


def test_many_pictures_are_a_strip(open_page: Open, server: MockServer) -> None:
    page = open_page()
    pictures = [(f"{i}.jpg", "image/jpeg", jpeg((150, 80 + i, 60))) for i in range(4)]
    pictures.append(("green.jpg", "image/jpeg", jpeg((30, 160, 40))))
    page.set_input_files("#files", files(*pictures))
    page.wait_for_function("() => document.querySelectorAll('.thumb[data-status=answered]').length === 5")
    first = page.locator(".places .coordinates").first.inner_text()
    page.locator(".thumb").nth(4).click()
    assert page.locator(".places .coordinates").first.inner_text() != first
    assert page.evaluate("document.activeElement.className") == "thumb"  # the focus stays where it was
    page.get_by_role("button", name="Remove green.jpg").click()
    assert page.locator(".thumb").count() == 4
    assert len(server.asked) == 5


def test_refusals_are_told_and_tried_again(open_page: Open, server: MockServer) -> None:
    page = open_page()
    server.refusals = [(429, "busy"), (422, "text: 3 words are too few; write more")]
    page.fill("#words-input", "a temple")
    page.keyboard.press("Enter")
    page.get_by_text("text: 3 words are too few; write more", exact=True).wait_for()
    assert len(server.asked) == 2  # the first was only busy
    server.refusals = [(401, "an API key is needed")]
    page.get_by_role("button", name="Try again").click()
    page.fill("#key", "secret")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".places")


def test_privacy_tells_what_is_given_away_and_gives_a_clean_copy(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("switch", name="How locatable is my photo?").click()
    assert page.locator("h1").inner_text() == "How locatable is my photo?"
    drop(page, "IMG_1.jpg", jpeg((150, 80, 60), position=True))
    page.wait_for_selector(".report")
    metadata, pixels, _ = page.locator(".report").all_inner_texts()
    for told in ("15.84000° S, 70.02000° W", "2024-05-06 07:08:09", "Canon EOS R5", "SN12345"):
        assert told in metadata
    assert "It points to a region." in pixels
    assert re.search(r"million km², \d % of the size of all land", pixels)
    assert page.locator("#region").is_hidden()
    screenshot(page, "privacy")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the copy").click()
    assert download.value.suggested_filename == "IMG_1-without-metadata.jpg"
    copy = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert dict(copy.getexif()) == {}


def test_of_two_models_the_one_that_answered_is_named(open_page: Open, server: MockServer) -> None:
    server.first, server.model = [MODEL | {"default": False}], MODEL | {"name": "geoclip", "caution": None}
    page = open_page()
    assert page.locator("#model").inner_text() == "model auto (orbit, geoclip)"
    assert page.locator("#caution").is_hidden()
    server.changes = {"model": "geoclip"}
    drop(page, "photo.jpg", jpeg((150, 80, 60)))
    page.wait_for_selector(".places")
    assert page.locator("#model").inner_text() == "model geoclip" and page.locator("#caution").is_hidden()
    server.changes = {"warnings": [{"kind": "model", "text": f"Caution: {MODEL['caution']}."}]}
    drop(page, "view.jpg", jpeg((20, 30, 90)))
    page.wait_for_function("() => document.getElementById('model').textContent === 'model orbit'")
    told = "The model orbit works on satellite-like views, 400 to 3,000 km wide. It cannot locate ordinary photos."
    assert page.locator("#caution").inner_text() == told


@pytest.mark.parametrize(
    ("caution", "told"),
    [
        (MODEL["caution"], "The orbit model cannot judge photos taken on the ground."),
        (None, "The orbit model found no likely place."),
    ],
)
def test_a_model_that_finds_nothing_is_no_good_news(
    open_page: Open, server: MockServer, caution: str | None, told: str
) -> None:
    server.model = MODEL | {"caution": caution}
    server.changes = {"verdict": NOWHERE}
    page = open_page()
    page.locator("#privacy-switch").click()
    drop(page, "a.jpg", jpeg((150, 80, 60)))
    page.wait_for_selector(".report")
    pixels = page.locator(".report").nth(1)
    finding = pixels.locator(".finding")
    assert finding.inner_text() == f"{told} This says nothing about how locatable your photo is."
    colour = "element => getComputedStyle(element).color"
    assert finding.evaluate(colour) == pixels.locator("dt").first.evaluate(colour)  # grey, as all that is no grade
    assert finding.evaluate(colour) != page.locator(".report.good .finding").first.evaluate(colour)


def test_a_model_s_caution_is_told_before_a_photo_is_sent(open_page: Open, server: MockServer) -> None:
    page = open_page()
    assert page.locator("#lead").inner_text() == "See where a photo was probably taken, and how sure the model is."
    told = "The model orbit works on satellite-like views, 400 to 3,000 km wide. It cannot locate ordinary photos."
    assert page.locator("#caution").inner_text() == told
    assert page.locator("#caution").bounding_box()["y"] < page.locator("#drop").bounding_box()["y"]
    page.fill("#words-input", "a temple among maples")
    page.keyboard.press("Enter")
    page.wait_for_selector(".places")
    assert page.locator("#caution").is_hidden()  # it is about pictures
    server.model = MODEL | {"caution": None}
    assert open_page().locator("#caution").is_hidden()


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0.0004, "less than 0.1 %. The picture was probably taken elsewhere."),
        (0.04, "4.0 %. The picture was probably taken elsewhere."),
        (0.61, "61 %."),
    ],
)
def test_what_contradicts_a_region_is_told_before_the_verdict(
    open_page: Open, server: MockServer, share: float, told: str
) -> None:
    server.changes = {"region": "Norway", "region_share": share}
    page = open_page()
    drop(page, "a.jpg", jpeg((150, 80, 60)))
    page.wait_for_selector(".places")
    warning = f"Without this restriction, the model gives this region {told}"
    assert page.locator(".verdict").inner_text().splitlines()[0] == warning
    assert page.get_by_role("status").first.inner_text().startswith(f"{warning} Near Place 1, Nowhere.")
    assert page.locator(".verdict .caution").count() == (share < 0.05)


def test_an_abstention_is_said_before_the_verdict(open_page: Open, server: MockServer) -> None:
    said = "No answer: the confidence is below the minimum that was asked for."
    server.changes = {"abstained": True, "warnings": [{"kind": "abstained", "text": said}]}
    page = open_page()
    drop(page, "a.jpg", jpeg((150, 80, 60)))
    page.wait_for_selector(".places")
    assert page.locator(".verdict").inner_text().splitlines()[0] == said
    assert page.get_by_role("status").first.inner_text().startswith(f"{said} Location unknown.")


def test_the_keyboard_alone_is_enough(open_page: Open, server: MockServer) -> None:
    page = open_page()
    reached: list[str] = []

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
            if name in reached[-1]:
                return
        pytest.fail(f"{name} is not reached by Tab, only {reached}")

    tab_to("Skip to the answer")
    tab_to("privacy-switch")
    tab_to("files")
    tab_to("words-input")
    page.keyboard.type("a temple among maples")
    page.keyboard.press("Enter")
    page.wait_for_selector(".places")
    assert server.asked[0].get("text") == ["a temple among maples"]
    status = page.get_by_role("status").first.inner_text()
    assert "5 places are listed" in status
    tab_to("near Place 1")
    page.keyboard.press("Enter")
    tab_to("region-input")
    south, west = (int(side) - 20 for side in KYOTO)
    page.keyboard.type(f"{south},{west},{south + 5},{west + 5}")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.places .coordinates').innerText.match(/^1[5-9]|^20/)")
    assert server.asked[1].get("region") == [f"{south},{west},{south + 5},{west + 5}"]


def test_a_model_without_words_says_so(open_page: Open, server: MockServer) -> None:
    server.model = MODEL | {"words": False}
    page = open_page()
    assert page.locator("#words-input").is_disabled()
    assert "reads pictures only" in page.locator("#words-hint").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_serious_fault_for_those_who_see_less(open_page: Open, scheme: str, width: int) -> None:
    page = open_page(color_scheme=scheme, width=width)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert serious_faults(page) == []
    drop(page, "a.jpg", jpeg((150, 80, 60), position=True))
    page.wait_for_selector(".places")
    assert serious_faults(page) == []
    page.locator("#privacy-switch").click()
    page.wait_for_selector(".report")
    assert serious_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # nothing to scroll sideways
    screenshot(page, f"{scheme}-{width}")


def test_the_theme_can_be_chosen_and_is_kept(open_page: Open) -> None:
    page = open_page(color_scheme="light")
    page.get_by_role("button", name="Dark theme").click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_on_a_phone_the_answer_comes_before_map_and_photo(open_page: Open, server: MockServer) -> None:
    page = open_page(width=390, height=844)
    drop(page, "a.jpg", jpeg((150, 80, 60)))
    page.wait_for_selector(".places")
    tops = [
        page.locator(part).bounding_box()["y"] for part in (".beside-answer", "#verdict-title", "#map", "#ask figure")
    ]
    assert tops == sorted(tops)
    assert page.locator("#caution").is_hidden()  # it is told once
    assert serious_faults(page) == []
