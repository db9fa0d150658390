"""A plan on the page: what nobody edits is saved byte for byte, and what is edited is what `earthclip apply` writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earthclip.cli import main
from earthclip.outputs.html_map import open_html_map
from earthclip.outputs.plan import COLUMNS, PlanWriter, read_plan
from tests.outputs.answers import FAILURE, HOSTILE, bare, full
from tests.web.conftest import drop, jpeg, screenshot, serious_faults
from tests.web.mock import MockServer

Open = Callable[..., Any]


def plan(*answers: Any) -> bytes:
    stream = io.StringIO(newline="")
    out = PlanWriter(stream)
    for answer in answers:
        out.write(answer)
    return stream.getvalue().encode()


def opened(page: Any, content: bytes, name: str = "plan.csv") -> None:
    page.set_input_files("#plan-file", [{"name": name, "mimeType": "text/csv", "buffer": content}])
    page.locator("#plan-title").get_by_text(name, exact=True).wait_for()


def saved(page: Any, name: str = "plan.csv") -> bytes:
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Save {name}").click()
    assert download.value.suggested_filename == name
    return Path(download.value.path()).read_bytes()


def test_an_unedited_plan_is_saved_byte_for_byte(open_page: Open, server: MockServer) -> None:
    written = plan(full('Rügen, "Königsstuhl".jpg'), full("a\nb.jpg"), FAILURE, bare("山.jpg"))
    rows = list(csv.reader(io.StringIO(written.decode(), newline="")))
    assert any(HOSTILE[:4] in row[0] for row in rows)

    def again(**how: Any) -> bytes:
        stream = io.StringIO(newline="")
        csv.writer(stream, **how).writerows(rows)
        return stream.getvalue().encode()

    texts = [
        *(written, written.removesuffix(b"\n"), b"\xef\xbb\xbf" + written),
        *(again(), again(quoting=csv.QUOTE_ALL), again(delimiter=";"), again(delimiter="\t")),
        again(delimiter=";", quoting=csv.QUOTE_ALL),
        written.replace(b"accept\n", b"accept, note\n")
        .replace(b",,no\n", b',, No ,"y"\n\n')  # no position to accept; a blank line
        .replace(b",no\n", b', X ,"y"\n'),
    ]
    page = open_page()
    for i, text in enumerate(texts):
        name = f"plan{i}.csv"
        opened(page, text, name)
        assert "4 photos" in page.locator("#plan .sentence").inner_text()
        assert saved(page, name) == text
    # Also after edits that are taken back
    accept = page.get_by_role("checkbox").first
    accept.click()
    assert "1 changed" in page.locator("#plan .sentence").inner_text()
    accept.click()
    page.locator("[data-part=row-0]").click()
    page.get_by_label("Latitude").fill("12")
    page.get_by_label("Latitude").press("Enter")
    page.get_by_role("button", name="Undo").click()
    assert saved(page, name) == text
    assert server.asked == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"path,latitude,longitude\r\na.jpg,1,2\r\n", "not a plan; expected a CSV with the columns path, latitude"),
        (b"path,latitude,longitude,accept\r\na.jpg,1,2,perhaps\r\n", "line 2: accept is 'perhaps'; expected yes or no"),
        (b'path,latitude,longitude,accept\r\n"a.jpg,1,2,yes\r\n', "line 2: a quote is opened and never closed"),
        (b"path,latitude,longitude,accept\r\na.jpg,1\r\n", "line 2: no longitude; correct the row"),
        (b"path,latitude,longitude,accept\r\na.jpg,north,2,no\r\n", "line 2: latitude must be a number of degrees"),
        (b"path,latitude,longitude,accept\r\na.jpg,1,,yes\r\n", "line 2: accepted without a position; give one, or"),
        (b"path,latitude,longitude,accept\r\n,1,2,no\r\n", "line 2: no path; correct or remove the row"),
        (b"path,latitude,longitude,accept\r\na.jpg,1,360,no\r\n", "line 2: longitude must be a number of degrees"),
        (b"path,latitude,longitude,accept\na,1,2,no\na,1,2,no\n", "line 3: a is also in line 2; keep one of them"),
        ("path,latitude,longitude,accept\n".encode("utf-16"), "not UTF-8 text; save the table as CSV in UTF-8"),
    ],
)
def test_what_is_no_plan_is_told(open_page: Open, server: MockServer, content: bytes, told: str) -> None:
    page = open_page()
    drop(page, "plan.csv", content, "text/csv")
    page.wait_for_selector("#plan .error")
    assert page.locator("#plan .error").inner_text().startswith(f"plan.csv: {told}")
    page.get_by_role("button", name="Close").click()
    assert page.locator("#plan .error").count() == 0
    assert server.asked == []


def test_by_keyboard_alone_a_photo_is_set_and_applied(
    open_page: Open, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("etna.jpg", "lost.jpg"):
        Path(name).write_bytes(jpeg((150, 80, 60)))
    untouched = plan(full("etna.jpg"))
    page = open_page()
    opened(page, plan(full("etna.jpg"), full("lost.jpg", abstained=True)))
    assert page.get_by_role("checkbox", name="Accept lost.jpg").is_disabled()
    page.locator("#plan-title").wait_for()
    page.locator("[data-part=row-1]").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("-33,4")
    page.keyboard.press("Tab")
    page.keyboard.type("500")
    page.keyboard.press("Tab")
    assert page.get_by_label("Longitude").get_attribute("aria-invalid") == "true"
    page.get_by_label("Longitude").fill("-70.25")
    page.keyboard.press("Enter")
    assert "lost.jpg is set by hand" in page.get_by_role("status").first.inner_text()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Longitude"
    content = saved(page)
    assert content == untouched + b"lost.jpg,-33.4,-70.25,,,,hand,yes\n"
    Path("plan.csv").write_bytes(content)
    assert read_plan(Path("plan.csv"))[1].accepted
    assert main(["apply", "plan.csv", "--dry-run"]) == 0
    assert "written: lost.jpg at -33.400000, -70.250000" in capsys.readouterr().out
    page.get_by_role("button", name="Close").click()
    assert page.locator("#drop").is_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_no_serious_fault_for_those_who_see_less(open_page: Open, scheme: str, width: int) -> None:
    page = open_page(color_scheme=scheme, width=width)
    opened(page, plan(*(full(f"{i}.jpg") for i in range(60))))
    assert page.locator(".plan-rows li").count() == 50
    page.get_by_role("button", name="Next").click()
    assert page.locator(".plan-rows .name").all_inner_texts() == [f"{i}.jpg" for i in range(50, 60)]
    page.locator("[data-part=row-0]").click()
    assert serious_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_a_dragged_marker_corrects_the_row(open_page: Open, tmp_path: Path) -> None:
    photo = tmp_path / "etna.jpg"
    photo.write_bytes(jpeg((150, 80, 60)))
    path = tmp_path / "out.html"
    with open_html_map(path) as out:
        out.write(full(str(photo)))
    page = open_page(webgl=True, url=path.as_uri(), offline=True)
    drop(page, "plan.csv", plan(full("photos/etna.jpg"), full("b.jpg")), "text/csv")
    page.wait_for_function("() => earthclip.map.loaded() && !earthclip.map.isMoving()")
    page.locator("[data-part=row-0]").click()
    assert page.locator(".plan-preview img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 90
    page.wait_for_function("() => earthclip.map.loaded() && !earthclip.map.isMoving()")
    box = page.locator(".marker[data-row='1']").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y - 40, steps=4)
    page.mouse.up()
    latitude, longitude = page.evaluate(
        "([x, y]) => { const map = earthclip.map.getContainer().getBoundingClientRect();"
        "const at = earthclip.map.unproject([x - map.x, y - map.y]); return [at.lat, at.lng]; }",
        [x + 60, y - 40],
    )
    screenshot(page, "plan")
    header, row, other = csv.reader(io.StringIO(saved(page).decode(), newline=""))
    assert tuple(header) == COLUMNS
    assert row[0] == "photos/etna.jpg" and row[3:] == ["", "", "", "hand", "yes"]
    assert float(row[1]) == pytest.approx(latitude, abs=0.05) and float(row[2]) == pytest.approx(longitude, abs=0.05)
    assert float(row[1]) > 38 and float(row[2]) > 15.2
    assert other == next(csv.reader(io.StringIO(plan(full("b.jpg")).decode().splitlines()[1])))
    assert page.locator(".marker.planned.chosen").count() == 1
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => earthclip.map.loaded() && !earthclip.map.isMoving()")
    screenshot(page, "plan-phone")
