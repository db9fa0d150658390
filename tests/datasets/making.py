"""Small data sets in every layout, made of tiny pictures."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

# On land, in the four quarters of the Earth, and of them only two fit when swapped.
PLACES = ((48.8566, 2.3522), (-33.8688, 151.2093), (40.7128, -74.006), (-15.84, -70.02), (35.6762, 139.6503))


def photo(number: int = 0, gps: tuple[float, float] | None = None, kind: str = "JPEG") -> bytes:
    """An 8 x 8 picture, each number's another, with a camera's GPS position where one is given."""
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"exif": exif(*gps)} if gps is not None else {}))
    return file.getvalue()


def exif(latitude: float, longitude: float) -> bytes:
    block = Image.Exif()
    values: dict[int, Any] = {
        **{1: "N" if latitude >= 0 else "S", 2: _sexagesimal(latitude)},
        **{3: "E" if longitude >= 0 else "W", 4: _sexagesimal(longitude)},
    }
    block.get_ifd(0x8825).update(values)
    return block.tobytes()


def write_photos(folder: Path, names: Iterable[str]) -> Path:
    """A different photo under each name, with folders as needed."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(number, kind="PNG" if name.lower().endswith(".png") else "JPEG"))
    return folder


def write_table(path: Path, rows: Sequence[Sequence[object]], header: str = "IMG_ID,LAT,LON") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


def rows_of(names: Sequence[str], places: Sequence[tuple[float, float]] = PLACES) -> list[list[object]]:
    return [[name, *places[i % len(places)]] for i, name in enumerate(names)]


def write_shard(path: Path, samples: Iterable[tuple[str, dict[str, bytes]]]) -> Path:
    """A tar of members ``key.suffix``, in the order given."""
    with tarfile.open(path, "w") as tar:
        for key, members in samples:
            for suffix, content in members.items():
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def sample(number: int, *, prefix: str = "", **place: object) -> tuple[str, dict[str, bytes]]:
    latitude, longitude = PLACES[number % len(PLACES)]
    content = place or {"latitude": latitude, "longitude": longitude, "author": f"author {number % 2}"}
    return f"{prefix}{number:05d}", {"jpg": photo(number), "json": json.dumps(content).encode(), "cls": b"3"}


def _sexagesimal(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    seconds = round(abs(degrees) * 3_600_000)
    return (
        IFDRational(seconds // 3_600_000),
        IFDRational(seconds % 3_600_000 // 60_000),
        IFDRational(seconds % 60_000, 1000),
    )
