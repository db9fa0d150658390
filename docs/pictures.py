"""Draw the README's pictures: docs/one-picture.jpg, what `--map FILE.png` draws, and docs/page.jpg, the map page.

python docs/pictures.py   (in the repository's folder, with the extra dev and Chromium)
"""

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import earthclip
from earthclip.outputs.html_map import open_html_map
from earthclip.outputs.map_png import draw

PHOTO = "examples/red-sea.jpg"
# The globe is drawn in software where there is no graphics card.
_FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]


def main() -> None:
    """Draw both."""
    (prediction,) = earthclip.load("orbit").locate([PHOTO], names=True)
    drawn = io.BytesIO()
    draw(prediction).savefig(drawn, dpi=110)
    Image.open(drawn).convert("RGB").save("docs/one-picture.jpg", quality=85, optimize=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        written = Path(folder, "map.html")
        with open_html_map(written) as out:
            out.write(prediction)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(written.as_uri())
        page.wait_for_function("() => window.earthclip?.map.loaded()")
        page.wait_for_timeout(3000)  # for the map to come to rest
        Image.open(io.BytesIO(page.screenshot())).convert("RGB").save("docs/page.jpg", quality=80, optimize=True)


if __name__ == "__main__":
    main()
