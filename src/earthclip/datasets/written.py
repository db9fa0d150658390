"""Photos as tables that this package, and everyone else's, reads again."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from earthclip.datasets.photos import PhotoSet
from earthclip.errors import OutputError
from earthclip.files import atomic_write, refuse_existing


def write_parts(parts: Mapping[str, PhotoSet], folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write ``NAME.csv`` for each part into the folder, which is made, and return their paths.

    Raises OutputError, before anything is written, when one is there already and is not to be overwritten.
    """
    paths = [folder / f"{name}.csv" for name in parts]
    if not overwrite:
        for path in paths:
            refuse_existing(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error
    for path, photos in zip(paths, parts.values(), strict=True):
        write_manifest(photos, path, overwrite=overwrite)
    return paths


def write_manifest(photos: PhotoSet, path: Path, *, overwrite: bool = False) -> None:
    """Write ids and places as CSV with the columns IMG_ID, LAT, LON, and AUTHOR where authors are known.

    Degrees are written so that the same numbers are read again. Raises OutputError.
    """
    authors = photos.authors
    with atomic_write(path, overwrite=overwrite) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", errors="surrogateescape")
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["IMG_ID", "LAT", "LON"] + (["AUTHOR"] if authors is not None else []))
        for i, (name, (latitude, longitude)) in enumerate(zip(photos.ids, photos.coordinates.tolist(), strict=True)):
            rows.writerow([name, repr(latitude), repr(longitude)] + ([authors[i]] if authors is not None else []))
        text.flush()
        text.detach()
