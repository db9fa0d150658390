"""Views as PNGs with a manifest: test sets anyone can look at, and feed to any system."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from earthclip.errors import InputError, OutputError
from earthclip.files import atomic_write, refuse_existing
from earthclip.training.rendering.camera import Cameras
from earthclip.training.rendering.imagery import land_mask, load_texture
from earthclip.training.rendering.texture import Texture
from earthclip.training.rendering.views import ViewDistribution, render, sample_cameras

MANIFEST = "manifest.csv"
_COLUMNS = ("IMG_ID", "LAT", "LON", "HALF_WIDTH_KM", "FIELD_OF_VIEW_DEG", "TILT_DEG", "ROTATION_DEG", "SOURCE")
_AT_ONCE = 16
_TAG = 20_261_122  # keeps test cameras apart from those a training run of the same seed draws


def test_cameras(n: int, seed: int, half_width_km: tuple[float, float] | None = None) -> Cameras:
    """The cameras of the test set of this seed; ``half_width_km`` narrows the distribution's range."""
    distribution = ViewDistribution()
    if half_width_km is not None:
        distribution = replace(distribution, half_width_km=half_width_km)
    return sample_cameras(n, land_mask(), np.random.default_rng([_TAG, seed]), distribution)


def pictures(cameras: Cameras, texture: Texture, size: int) -> list[Image.Image]:
    """What the cameras see as ``size`` x ``size`` pictures."""
    views = render(cameras, texture, size)[..., :3]
    return [Image.fromarray((view * 255 + 0.5).astype(np.uint8)) for view in views]


def write_test_set(
    folder: Path, *, n: int, source: str, size: int, seed: int, half_width_km: tuple[float, float], force: bool = False
) -> Path:
    """Write n PNGs and ``manifest.csv``, the manifest last, and return its path.

    Raises InputError for impossible numbers or unknown imagery, OutputError when the folder holds a test set already
    and ``force`` is false, or cannot be written.
    """
    _check(n, size, seed, half_width_km)
    manifest = folder / MANIFEST
    if not force:
        refuse_existing(manifest)
    texture = load_texture(source)
    cameras = test_cameras(n, seed, half_width_km)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose a folder you may write to") from error
    if force:
        manifest.unlink(missing_ok=True)  # an old one must not describe new pictures, should this be killed
        for old in folder.glob(f"{source}_?????.png"):
            old.unlink()
    names = [f"{source}_{index:05d}.png" for index in range(n)]
    for start in range(0, n, _AT_ONCE):
        chosen = np.arange(start, min(start + _AT_ONCE, n))
        for index, picture in zip(chosen, pictures(cameras.take(chosen), texture, size), strict=True):
            with atomic_write(folder / names[index], overwrite=force) as file:
                picture.save(file, "PNG")
    with atomic_write(manifest, overwrite=force) as file:
        file.write(_manifest(cameras, names, source).encode())
    return manifest


def _manifest(cameras: Cameras, names: list[str], source: str) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    numbers = zip(cameras.half_width_km, cameras.field_of_view_deg, cameras.tilt_deg, cameras.rotation_deg, strict=True)
    for name, (latitude, longitude), row in zip(names, cameras.targets, numbers, strict=True):
        writer.writerow([name, f"{latitude:.5f}", f"{longitude:.5f}", *(f"{value:.2f}" for value in row), source])
    return text.getvalue()


def _check(n: int, size: int, seed: int, half_width_km: tuple[float, float]) -> None:
    if n < 1:
        raise InputError(f"the number of views must be at least 1, found {n}")
    if not 16 <= size <= 4096:
        raise InputError(f"the size of the pictures must be 16 to 4096 pixels, found {size}")
    if seed < 0:
        raise InputError(f"the seed must not be negative, found {seed}")
    low, high = half_width_km
    if not 1 <= low <= high <= 5000:
        raise InputError(f"half-widths must rise within 1 to 5000 km, found {low:g} to {high:g}")
