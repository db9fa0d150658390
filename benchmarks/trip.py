"""How far off photos of a made-up trip are: by the picture alone, by its neighbours in time alone, and by both.

    python -m benchmarks.trip [--imagery natural-earth] [--photos 200] [--hours 2] [--json FILE]

Ten days through Europe, with stops in towns and drives between them. Two phones write positions and time zones, but for
a photo now and then. A camera writes neither, and its clock is an hour ahead of the local time. The pictures are views
of satellite imagery around each place, for the built-in model; EXIF is as phones and cameras write it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import earthclip
from earthclip.cli.library import Library, parse_clock_offset
from earthclip.geo.sphere import great_circle_km, local_grid
from recipes.orbit.camera import Cameras
from recipes.orbit.imagery import load_texture
from recipes.orbit.testset import pictures

TOWNS = np.array(
    [
        *([52.52, 13.40], [50.08, 14.44], [48.21, 16.37], [47.50, 19.04], [46.05, 14.51]),
        *([45.44, 12.32], [43.77, 11.25], [45.46, 9.19], [47.37, 8.54], [48.14, 11.58]),
    ]
)
BEGAN = datetime(2024, 6, 1, tzinfo=UTC)
ZONE_H, AHEAD_H = 2, 1
CAMERAS = {"phone A": 0.45, "phone B": 0.35, "camera": 0.20}
_FORGOTTEN = 0.2  # of the phones' photos: with the camera's, a third has no position


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imagery", default="natural-earth")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--hours", type=float, default=2.0, help="of --near-in-time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        truths = write_trip(Path(folder), options.photos, options.imagery, options.seed)
        rows = measured(Path(folder), truths, options.hours)
    print("| photos without position | n | picture alone | neighbours alone | both | both, clock corrected |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, (n, *medians) in rows.items():
        print(f"| {name} | {n} | {' | '.join(f'{km:,.1f} km' for km in medians)} |")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


def route(hours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where the travellers are [n, 2]: about a town until 16:00, then on the road to the next one for four hours."""
    day = np.minimum((hours // 24).astype(int), len(TOWNS) - 1)
    share = np.clip((hours % 24 - 16) / 4, 0, 1)[:, None]
    following = TOWNS[np.minimum(day + 1, len(TOWNS) - 1)]
    on_road = TOWNS[day] * (1 - share) + following * share
    phase = rng.uniform(0, 2 * np.pi, len(TOWNS))[day]
    about_town = np.stack([2 * np.cos(hours + phase), 2 * np.sin(1.3 * hours + phase)], axis=1)  # km, on foot
    return np.concatenate([local_grid(on_road[i : i + 1], about_town[i : i + 1])[0] for i in range(len(hours))])


def write_trip(folder: Path, n: int, imagery: str, seed: int) -> dict[Path, tuple[str, np.ndarray]]:
    """The photos; for each without a position, what took it and where."""
    rng = np.random.default_rng(seed)
    hours = np.sort(24 * rng.integers(0, len(TOWNS), n) + rng.uniform(8, 20, n))
    places = route(hours, rng)
    took = rng.choice(list(CAMERAS), n, p=list(CAMERAS.values()))
    truths = {}
    for i, picture in enumerate(_views(places, imagery, rng)):
        path = folder / f"IMG_{i:04}.jpg"
        camera = str(took[i])
        forgotten = camera == "camera" or rng.random() < _FORGOTTEN
        local = BEGAN + timedelta(hours=float(hours[i]))
        picture.save(path, quality=90, exif=_exif(camera, local, None if forgotten else places[i]))
        if forgotten:
            truths[path] = camera, places[i]
    return truths


def _exif(camera: str, local: datetime, place: np.ndarray | None) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker", camera
    details = exif.get_ifd(0x8769)
    if camera == "camera":
        local += timedelta(hours=AHEAD_H)
    else:
        details[0x9011] = f"+{ZONE_H:02}:00"
    details[0x9003] = f"{local:%Y:%m:%d %H:%M:%S}"
    if place is not None:
        gps: dict[int, Any] = {1: "N", 2: _sexagesimal(place[0]), 3: "E", 4: _sexagesimal(place[1])}
        exif.get_ifd(0x8825).update(gps)
    return exif


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    minutes = 60 * (degrees % 1)
    return float(degrees // 1), float(minutes // 1), round(60 * float(minutes % 1), 2)


def _views(places: np.ndarray, imagery: str, rng: np.random.Generator) -> Iterator[Image.Image]:
    texture, n = load_texture(imagery), len(places)
    zero, field = np.zeros(n), np.full(n, 40.0)
    cameras = Cameras(places, rng.uniform(500, 1200, n), field, zero, zero, rng.uniform(0, 360, n))
    for first in range(0, n, 16):
        yield from pictures(cameras.take(np.arange(first, min(first + 16, n))), texture, 256)


def measured(folder: Path, truths: dict[Path, tuple[str, np.ndarray]], hours: float) -> dict[str, tuple[float, ...]]:
    """Number of photos, median errors in km: picture, neighbours, both, both with the camera's clock corrected."""
    locator = earthclip.load("orbit")
    paths = list(truths)
    library = _library(folder, hours)
    alone = [one.coordinates[0] for one in locator.locate(paths, top_k=1)]
    known = [library.of(str(path)) for path in paths]
    neighbours = [one[0].place if one else np.full(2, np.nan) for one in known]
    both = [one.coordinates[0] for one in locator.locate(paths, top_k=1, whereabouts=library)]
    corrected = _library(folder, hours, f"camera=+{ZONE_H + AHEAD_H:02}:00")
    right = [one.coordinates[0] for one in locator.locate(paths, top_k=1, whereabouts=corrected)]
    places = np.array([place for _, place in truths.values()])
    of_camera = np.array([name == "camera" for name, _ in truths.values()])
    errors = [great_circle_km(np.array(found), places) for found in (alone, neighbours, both, right)]
    near = np.array([bool(one) for one in known])  # the others have the picture's answer in all columns but one
    groups = {"all": near, "of the phones": near & ~of_camera, "of the camera, an hour off": near & of_camera}
    groups |= {"none near in time": ~near} if not near.all() else {}
    return {name: (int(rows.sum()), *(float(np.median(one[rows])) for one in errors)) for name, rows in groups.items()}


def _library(folder: Path, hours: float, *offsets: str) -> Library:
    library = Library(near_h=hours, clock_offsets=tuple(map(parse_clock_offset, offsets)))
    library.open((folder,), None)
    return library


if __name__ == "__main__":
    main()
