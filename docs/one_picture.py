"""Draw docs/one-picture.jpg, the README's picture: what `earthclip locate examples/red-sea.jpg --map` draws, as JPEG.

python docs/one_picture.py   (in the repository's folder; needs earthclip[map])
"""

import io

from PIL import Image

import earthclip
from earthclip.outputs.map_png import draw


def main() -> None:
    (prediction,) = earthclip.load("orbit").locate(["examples/red-sea.jpg"])
    drawn = io.BytesIO()
    draw(prediction).savefig(drawn, dpi=110)
    Image.open(drawn).convert("RGB").save("docs/one-picture.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main()
