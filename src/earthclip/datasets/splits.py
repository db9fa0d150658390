"""Train, validation and test parts: drawn by place or author, and written as tables."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from earthclip.datasets.photos import PhotoSet
from earthclip.datasets.rows import Places
from earthclip.errors import InputError, OutputError
from earthclip.files import atomic_write, refuse_existing
from earthclip.geo.cells import cell_of, level_of_width

DEFAULT_LEVEL = 4  # HEALPix cells 408 km wide, as the probes of location features hold out


def random_split(photos: PhotoSet, shares: Sequence[float], seed: int) -> list[Int64[np.ndarray, " _"]]:
    """Indices of each part, in order; sizes are the shares of n, rounded. Raises InputError for bad shares."""
    weights = _checked(shares)
    order = np.argsort(_draws(photos.ids, seed), kind="stable")
    bounds = np.rint(np.cumsum(weights)[:-1] * len(order)).astype(np.int64)
    return _not_empty([np.sort(part).astype(np.int64) for part in np.split(order, bounds)], "photos")


def blocked_split(
    photos: PhotoSet,
    shares: Sequence[float],
    seed: int,
    *,
    level: int | None = None,
    width_km: float | None = None,
) -> list[Int64[np.ndarray, " _"]]:
    """Indices of each part; all photos of a HEALPix cell are in one part, so that tests are in places never seen.

    Cells are those of ``level`` (4: 408 km wide), or of the deepest level at least ``width_km`` wide. Sizes are the
    shares of n as nearly as whole cells allow. Raises InputError for bad shares, both widths, or too few cells.
    """
    if level is not None and width_km is not None:
        raise InputError("give the level of the blocks or their width in km, not both")
    if width_km is not None:
        level = level_of_width(width_km)
    cells = cell_of(photos.coordinates, DEFAULT_LEVEL if level is None else level)
    return grouped_split([str(cell) for cell in cells.tolist()], shares, seed, "blocks")


def author_split(photos: PhotoSet, shares: Sequence[float], seed: int) -> list[Int64[np.ndarray, " _"]]:
    """Indices of each part; all photos of an author are in one part. A photo without an author is on its own.

    Raises InputError when the source does not know authors, for bad shares, or too few authors.
    """
    if photos.authors is None:
        raise InputError(f"{photos.name}: does not say who took its photos; split by place, or add a column AUTHOR")
    groups = [
        f"by {author}" if author else f"id {name}" for author, name in zip(photos.authors, photos.ids, strict=True)
    ]
    return grouped_split(groups, shares, seed, "authors")


def grouped_split(
    groups: Sequence[str], shares: Sequence[float], seed: int, what: str = "groups"
) -> list[Int64[np.ndarray, " _"]]:
    """Indices of each part; rows of equal group are in one part. Raises InputError for bad shares or an empty part."""
    weights = _checked(shares)
    names, group_of, sizes = np.unique(np.asarray(groups, dtype=object), return_inverse=True, return_counts=True)
    missing = weights * len(groups)  # how many rows each part still lacks
    part_of = np.empty(len(names), np.int64)
    for group in np.argsort(_draws(names.tolist(), seed), kind="stable"):
        part = int(np.argmax(missing))
        part_of[group] = part
        missing[part] -= sizes[group]
    parts = part_of[group_of.ravel()]
    return _not_empty([np.flatnonzero(parts == i) for i in range(len(weights))], what)


def fraction(n: int, share: float, seed: int) -> Int64[np.ndarray, " m"]:
    """Indices, in order, of a random share of n, at least one: those of a smaller share are among those of a larger.

    So the curve of the limited-data protocol adds photos and takes none away. Raises InputError for a share outside
    (0, 1].
    """
    if not 0.0 < share <= 1.0:
        raise InputError(f"a fraction of {share:g}: expected more than 0, at most 1")
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[: max(1, round(n * share))]).astype(np.int64)


def without_authors_of(photos: PhotoSet | Places, others: PhotoSet | Places) -> Int64[np.ndarray, " m"]:
    """Indices of the photos whose authors have none in ``others``, as YFCC4k's photographers have in MP-16.

    Raises InputError when either does not know authors. Photos without an author are kept.
    """
    for given in (photos, others):
        if given.authors is None:
            raise InputError(f"{given.name}: does not say who took its photos; add a column AUTHOR")
    known = set(others.authors or []) - {""}
    return np.array([i for i, author in enumerate(photos.authors or []) if author not in known], np.int64)


def _checked(shares: Sequence[float]) -> np.ndarray:
    weights = np.asarray(shares, np.float64)
    if weights.ndim != 1 or len(weights) < 2 or not (np.isfinite(weights) & (weights > 0.0)).all():
        raise InputError(f"shares {_listed(shares)}: expected two or more numbers above 0, such as 0.8,0.1,0.1")
    if abs(float(weights.sum()) - 1.0) > 1e-6:
        raise InputError(f"shares {_listed(shares)} add up to {float(weights.sum()):g}; expected 1")
    return np.asarray(weights / weights.sum())


def _draws(names: Sequence[str], seed: int) -> Int64[np.ndarray, " n"]:
    """A number for each name and nothing else but the seed, so that a split outlives sorting and added photos."""
    key = str(seed).encode()[:64]
    drawn = [hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest() for name in names]
    return np.frombuffer(b"".join(drawn), np.int64).copy()


def _not_empty(parts: list[Int64[np.ndarray, " _"]], what: str) -> list[Int64[np.ndarray, " _"]]:
    for number, part in enumerate(parts, start=1):
        if not len(part):
            raise InputError(
                f"part {number} of {len(parts)} would be empty: too few {what}; choose fewer parts or larger"
            )
    return parts


def _listed(shares: Sequence[float]) -> str:
    return ",".join(f"{share:g}" for share in shares)


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
