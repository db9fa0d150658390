"""Make screens of all that people look at, to be looked at before a release: build/screens/*.png.

python docs/screens.py [NAME ...]   (in the repository's folder, with the extra dev, Chromium, and web/ after npm ci)

Each screen of a browser is made in a window of 1280 by 800 and on a phone of 390 by 844, light and dark, the four side
by side. axe-core looks for faults in each. Names choose some of the screens: those that begin with one of them.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright

OUT, AXE = Path("build/screens"), Path("web/node_modules/axe-core/axe.min.js")
EXAMPLES = sorted(map(str, Path("examples").glob("*.jpg")))
# The globe is drawn in software where there is no graphics card.
_FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
_SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
_TERMINAL = (
    "earthclip --help",
    "earthclip locate examples/red-sea.jpg --top-k 3",
    "earthclip locate examples/red-sea.jpg --region Japan --top-k 1",
    "earthclip privacy check examples/italy.jpg",
    "earthclip model list",
    "earthclip locate missing.jpg",
)

Step = Callable[[Page], None]


def main(names: list[str]) -> None:
    """Make the screens that begin with one of the names, or all."""
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = [(name, url, step) for name, (url, step) in _SCREENS.items() if name.startswith(tuple(names) or "")]
    with tempfile.TemporaryDirectory() as folder, _serving() as address, sync_playwright() as playwright:
        _make_files(Path(folder))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        for name, url, step in wanted:
            shots = []
            for width, height in _SIZES.values():
                for scheme in ("light", "dark"):
                    view = {"width": width, "height": height}
                    page = browser.new_page(viewport=view, color_scheme=scheme, reduced_motion="reduce")
                    page.goto(url.format(server=address, files=Path(folder).as_uri()))
                    step(page)
                    shots.append(Image.open(io.BytesIO(page.screenshot())))
                    _look_for_faults(page, f"{name}, {width} pixels, {scheme}")
                    page.close()
            _side_by_side(shots).save(OUT / f"{name}.png")
            print(OUT / f"{name}.png", flush=True)
        for file in ("map.png", "heat.png"):
            shutil.copy(Path(folder, file), OUT / file)
        page = browser.new_page(viewport={"width": 720, "height": 800})
        page.set_content(_terminal())
        page.screenshot(path=OUT / "terminal.png", full_page=True)


def _ask(photo: bytes = Path("examples/red-sea.jpg").read_bytes(), *, privacy: bool = False) -> Step:
    def step(page: Page) -> None:
        page.wait_for_function("() => document.getElementById('model').textContent !== ''")
        if privacy:
            page.locator("#privacy-switch").click()
        page.set_input_files("#files", {"name": "photo", "mimeType": "image/*", "buffer": photo})
        page.wait_for_function("() => document.querySelector('.parts') && !document.querySelector('.parts[aria-busy]')")
        _rest(page)

    return step


def _street() -> bytes:
    """A picture that `orbit` knows nothing of, as PNG."""
    street, out = Image.linear_gradient("L").resize((640, 480)).convert("RGB"), io.BytesIO()
    ImageDraw.Draw(street).polygon([(0, 480), (250, 220), (390, 220), (640, 480)], fill="#555")
    street.save(out, "PNG")
    return out.getvalue()


def _plan(page: Page) -> None:
    page.set_input_files("#plan-file", {"name": "plan.csv", "mimeType": "text/csv", "buffer": _planned()})
    page.locator("[data-part=row-1]").click()
    _rest(page)


def _planned() -> bytes:
    arguments = ["earthclip", "locate", *EXAMPLES, "--quiet", "--format", "plan"]
    return subprocess.run(arguments, check=True, capture_output=True).stdout


def _rest(page: Page) -> None:
    """Wait for the map to come to rest, with its surface drawn."""
    page.wait_for_function("() => window.earthclip?.map.loaded() && !window.earthclip.map.isMoving()")
    page.wait_for_timeout(1500)


def _read(page: Page) -> None:
    page.wait_for_timeout(300)


_SCREENS: dict[str, tuple[str, Step]] = {
    "page-empty": ("{server}", _rest),
    "page-answer": ("{server}", _ask()),
    "page-privacy": ("{server}", _ask(privacy=True)),
    "page-privacy-cannot-tell": ("{server}", _ask(_street(), privacy=True)),
    "page-plan": ("{server}", _plan),
    "map-one": ("{files}/one.html", _rest),
    "map-many": ("{files}/many.html", _rest),
    "evaluation": ("{files}/report.html", _read),
}


def _make_files(folder: Path) -> None:
    """The files that `locate` and `evaluate` write, and a picture that `orbit` knows nothing of."""

    def run(*arguments: str) -> None:
        subprocess.run(["earthclip", *arguments, "--quiet"], check=True, stdout=subprocess.DEVNULL)

    views = folder / "views"
    render = ["-m", "recipes.orbit", "render", "--out", str(views), "-n", "40", "--seed", "1", "--source", "bmng"]
    subprocess.run([sys.executable, *render], check=True, stdout=subprocess.DEVNULL)
    run("locate", EXAMPLES[-1], "--map", f"{folder}/one.html", "--map", f"{folder}/map.png")
    run("locate", EXAMPLES[0], "--heatmap", f"{folder}/heat.png", "--heatmap-width", "1600")
    run("locate", str(views), "--map", f"{folder}/many.html", "-o", f"{folder}/many.csv")
    run("evaluate", "model", "orbit", f"{views}/manifest.csv", "--images", str(views), "-o", f"{folder}/report.html")


@contextmanager
def _serving() -> Iterator[str]:
    server = subprocess.Popen(
        ["earthclip", "serve", "--model", "orbit", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout is not None
    try:
        said = []
        for line in server.stdout:
            said.append(line)
            if found := re.search(r"http://[\d.:]+/?", line):
                break
        else:
            raise SystemExit(f"the server did not start: {''.join(said)}")
        threading.Thread(target=server.stdout.read, daemon=True).start()  # or a full pipe would stop the server
        yield found[0]
    finally:
        server.terminate()
        server.wait()


def _look_for_faults(page: Page, where: str) -> None:
    page.evaluate(AXE.read_text("utf-8"))
    found: list[Any] = page.evaluate("axe.run()")["violations"]
    for fault in found:
        print(f"{where}: {fault['impact']}: {fault['id']}: {fault['nodes'][0]['html']}")
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        print(f"{where}: wider than the window")


def _side_by_side(shots: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (sum(s.width for s in shots) + 10 * len(shots), max(s.height for s in shots)), "gray")
    left = 0
    for shot in shots:
        sheet.paste(shot.convert("RGB"), (left, 0))
        left += shot.width + 10
    return sheet


def _terminal() -> str:
    """What commands print into 80 columns."""
    parts = []
    for command in _TERMINAL:
        ran = subprocess.run(command.split(), capture_output=True, text=True, env=os.environ | {"COLUMNS": "80"})
        parts.append(f"$ {command}\n{ran.stderr}{ran.stdout}")
        for line in (ran.stdout + ran.stderr).splitlines():
            if len(line) > 80:
                print(f"{command}: a line of {len(line)} columns: {line}")
    return f"<pre style='width:80ch; outline:1px solid gray; font: 14px monospace'>{escape(chr(10).join(parts))}</pre>"


if __name__ == "__main__":
    main(sys.argv[1:])
