"""Draw docs/one-picture.jpg, the README's picture: an example and what the model makes of it, on a map.

python docs/one_picture.py   (needs earthclip[train] for the world map)
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import earthclip
from earthclip.orbit.imagery import imagery_path

ROOT = Path(__file__).parent.parent
PICTURE, TRUTH = ROOT / "examples" / "red-sea.jpg", (27.9, 33.9)
WIDTH, HEIGHT = 1040, 520


def on_map(latitude: float, longitude: float) -> tuple[float, float]:
    return (longitude + 180) / 360 * WIDTH, (90 - latitude) / 180 * HEIGHT


def main() -> None:
    prediction = next(earthclip.load("orbit").locate([PICTURE], top_k=3))
    posterior = prediction.posterior
    with Image.open(imagery_path("shadedrelief")) as world:
        canvas = world.convert("L").resize((WIDTH, HEIGHT)).convert("RGB")
    draw = ImageDraw.Draw(canvas)
    # Square roots, so that places a hundred times less likely can still be seen.
    strength = np.sqrt(np.exp(posterior.log_probabilities - posterior.log_probabilities.max()))
    for index in np.argsort(strength):
        if strength[index] > 0.03:
            x, y = on_map(*posterior.coordinates[index])
            draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=(255, int(230 * (1 - strength[index])), 30))
    x, y = on_map(*TRUTH)
    draw.ellipse([x - 9, y - 9, x + 9, y + 9], outline=(0, 60, 255), width=2)
    with Image.open(PICTURE) as photo:
        sheet = Image.new("RGB", (HEIGHT + WIDTH + 10, HEIGHT + 30), "white")
        sheet.paste(photo.resize((HEIGHT, HEIGHT)), (0, 0))
    sheet.paste(canvas, (HEIGHT + 10, 0))
    text = ImageDraw.Draw(sheet)
    latitude, longitude = prediction.coordinates[0]
    found = f"answer: {latitude:.2f}, {longitude:.2f} ({100 * prediction.probabilities[0]:.0f} %)"
    text.text((6, HEIGHT + 8), PICTURE.name, fill="black", font_size=16)
    legend = f"{found}   truth: {TRUTH[0]}, {TRUTH[1]} (circle)   yellow to red: probability"
    text.text((HEIGHT + 16, HEIGHT + 8), legend, fill="black", font_size=16)
    sheet.save(ROOT / "docs" / "one-picture.jpg", quality=85)


if __name__ == "__main__":
    main()
