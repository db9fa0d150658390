"""Pictures that are no views of the Earth from above, out of the Debian packages in photos.toml."""

from __future__ import annotations

import struct
import tempfile
import tomllib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from earthclip.configuration import from_mapping
from earthclip.errors import InputError
from earthclip.files import home, staging_folder
from recipes.orbit.fetch import debian_package, unpack

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_LEAST_BYTES, _LEAST_PIXELS, _MOST_PIXELS = 8_000, 64, 1600
_NARROWEST = 0.25  # of a crop, as a share of the picture's shorter side
# In paths of pictures that may show the Earth from above, or a map of it
_EARTH = (
    *("earth", "globe", "map", "geograph", "planet_", "world", "flags", "night", "cloud_", "screenshot"),
    *("nasa", "solar_system", "space", "station"),
)
_STARTS = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp"}  # of files inside Qt resources


@dataclass(frozen=True)
class Photos:
    """A package: at most ``most`` pictures below each of ``folders`` are used, with so many ``crops`` each."""

    package: str
    version: str
    role: Literal["training", "validation", "test"]
    what: str
    licence: str
    folders: tuple[str, ...]
    most: int
    crops: int


def read_photos() -> list[Photos]:
    """The packages of photos.toml."""
    path = Path(__file__).with_name("photos.toml")
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["photos"]
    return [from_mapping(Photos, row, str(path)) for row in rows]


def fetch_photos(photos: Photos) -> Path:
    """The folder of the unpacked package, downloaded by apt-get where it is not here. Raises InputError."""
    folder = home() / "photos" / f"{photos.package}_{photos.version.replace(':', '%3a')}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory() as downloads:
            package = debian_package(photos.package, photos.version, Path(downloads), "pictures out of scope")
            with staging_folder(folder) as staging:
                unpack(package, staging)
                for resources in sorted(staging.rglob("*.rcc")):
                    _unpack_resources(resources)
    return folder


def photo_crops(photos: Photos, folder: Path, size: int, rng: np.random.Generator) -> UInt8[np.ndarray, "n s s 3"]:
    """Squares of random places and widths out of the pictures, the first of each its whole centre, ``size`` across."""
    crops = [
        crop
        for below in photos.folders
        for path in _chosen(folder / below, photos.most, rng)
        for crop in _crops(path, photos.crops, size, rng)
    ]
    return np.stack(crops)


def _unpack_resources(path: Path) -> None:
    """Write the pictures in a file of Qt resources beside it; the file's data are lengths, each with so many bytes."""
    packed = path.read_bytes()
    if packed[:4] != b"qres" or len(packed) < 20:
        raise InputError(f"{path}: not a file of Qt resources; report this")
    tree, first, names = struct.unpack(">3I", packed[8:20])
    end = min([place for place in (tree, names) if place > first], default=len(packed))
    while first + 4 <= end:
        length = int.from_bytes(packed[first : first + 4])
        content = packed[first + 4 : first + 4 + length]
        for start, suffix in _STARTS.items():
            if content.startswith(start):
                path.with_name(f"{path.stem}-{first}{suffix}").write_bytes(content)
        first += 4 + length


def _chosen(folder: Path, most: int, rng: np.random.Generator) -> list[Path]:
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES
        and not any(word in path.relative_to(folder.parent).as_posix().lower() for word in _EARTH)
        and path.is_file()
        and path.stat().st_size >= _LEAST_BYTES
    )
    return [found[index] for index in rng.permutation(len(found))[:most]]


def _crops(path: Path, n: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    picture = _read(path, rng)
    if picture is None:
        return []
    width, height = picture.size
    side = min(width, height)
    crops = []
    for number in range(n):
        across = side if number == 0 else max(min(side, 48), int(side * _NARROWEST ** rng.random()))
        left, top = (width - across) // 2, (height - across) // 2
        if number:
            left, top = int(rng.integers(0, width - across + 1)), int(rng.integers(0, height - across + 1))
        box = (left, top, left + across, top + across)
        crops.append(np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, box=box)))
    return crops


def _read(path: Path, rng: np.random.Generator) -> Image.Image | None:
    """The picture on a plain ground where it is transparent; None where it is too small or damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as file:
                file.draft("RGB", (_MOST_PIXELS, _MOST_PIXELS))
                picture = file.convert("RGBA")
        except (OSError, ValueError, SyntaxError):
            return None
    if min(picture.size) < _LEAST_PIXELS:
        return None
    colour = (255, 255, 255) if rng.random() < 0.5 else tuple(rng.integers(0, 256, 3).tolist())
    ground = Image.new("RGBA", picture.size, (*colour, 255))
    return Image.alpha_composite(ground, picture).convert("RGB")
