"""A headless Chromium (Debian's), and the page served with known answers; skipped where there is no browser."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from earthclip.outputs.html_map import STATIC
from tests.web.mock import MockServer, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCREENSHOTS = Path(__file__).parents[2] / "build" / "web"
AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
_FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
# Drawing the globe in software takes seconds: tests that are about the rest of the page go without.
_WITHOUT_WEBGL = "HTMLCanvasElement.prototype.getContext = new Proxy(HTMLCanvasElement.prototype.getContext, {apply: (get, canvas, [kind, ...rest]) => /webgl/.test(kind) ? null : Reflect.apply(get, canvas, [kind, ...rest])})"  # noqa: E501


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the page is tested with the extra dev's playwright")
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    if not (STATIC / "index.html").is_file():
        pytest.skip("the page is not built here: npm ci && npm run build in web/")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def server() -> Iterator[MockServer]:
    with serving() as running:
        yield running


@pytest.fixture
def open_page(browser: Any, server: MockServer) -> Iterator[Callable[..., Any]]:
    """Opens the page; in the end no error was logged and nothing was asked of anybody else, or the test fails."""
    contexts, errors, addresses, allowed = [], [], [], [server.url, "blob:", "data:", "file:"]

    def open_(*, webgl: bool = False, width: int = 1280, height: int = 800, url: str = "", **options: Any) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce", accept_downloads=True, **options
        )
        contexts.append(context)
        context.set_default_timeout(90_000)
        page = context.new_page()
        page.on("request", lambda request: addresses.append(request.url))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if not webgl:
            page.add_init_script(_WITHOUT_WEBGL)
        allowed.append(url or server.url)
        page.goto(url or server.url)
        page.wait_for_function("() => document.getElementById('model').textContent !== ''")
        if webgl:
            page.wait_for_function("() => window.earthclip?.map.loaded()")
        return page

    yield open_
    for context in contexts:
        context.close()
    refused = "Failed to load resource: the server responded with a status of"  # Chromium's own word on any 4xx
    assert [error for error in errors if not error.startswith(refused)] == []
    assert [url for url in addresses if not url.startswith(tuple(allowed))] == []


def jpeg(colour: tuple[int, int, int], orientation: int = 1, *, position: bool = False) -> bytes:
    """A picture of noise around a colour, with what a camera writes beside it."""
    noise = np.random.default_rng(0).integers(-20, 20, (60, 90, 3))
    image = Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = orientation, "Canon", "EOS R5"
    if position:
        exif.get_ifd(0x8825).update({1: "S", 2: (15.0, 50.0, 24.0), 3: "W", 4: (70.0, 1.0, 12.0)})
        exif.get_ifd(0x8769).update({0x9003: "2024:05:06 07:08:09", 0xA431: "SN12345"})
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, comment=b"taken at home")
    return buffer.getvalue() + b"trailing film with a position"


def drop(page: Any, name: str, content: bytes, kind: str = "image/jpeg") -> None:
    """Drop a file onto the middle of the page, as a hand would."""
    script = """([bytes, name, type]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name, {type}));
        for (const event of ["dragenter", "dragover", "drop"])
            document.body.dispatchEvent(new DragEvent(event, {dataTransfer: data, bubbles: true, cancelable: true}));
    }"""
    page.evaluate(script, [list(content), name, kind])


def screenshot(page: Any, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def tinted(page: Any) -> float:
    """The share of the map that has the warm colours of the surface."""
    pixels = np.asarray(Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("RGB"), np.int64)
    return float((pixels[..., 0] > pixels[..., 1] + 40).mean())


def serious_faults(page: Any) -> list[str]:
    """What axe-core finds of serious or critical impact."""
    if not AXE.is_file():
        pytest.skip("axe-core is not here: npm ci in web/")
    page.evaluate(AXE.read_text("utf-8"))  # evaluated, as the page's policy lets no script be added
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{fault['id']}: {node['html']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
