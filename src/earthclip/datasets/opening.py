"""Whatever a person calls a data set, as a PhotoSet: a folder, table, shards, a Hugging Face data set, a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from earthclip.datasets.benchmarks import BENCHMARKS, find_benchmark, scan_benchmark
from earthclip.datasets.folder import scan_folder
from earthclip.datasets.hugging_face import scan_hugging_face
from earthclip.datasets.photos import StoredPhotos
from earthclip.datasets.rows import Scan, scan_places, scan_table
from earthclip.datasets.shards import scan_shards
from earthclip.datasets.tables import SUFFIXES
from earthclip.errors import InputError

EXPECTED = (
    "a folder of photos with GPS, a .csv, .tsv or .parquet table (--images names its folder), shards as "
    f"'folder/*.tar', hf:NAME, or one of {', '.join(f'{name}:FOLDER' for name in BENCHMARKS if '@' not in name)}"
)


def open_photos(
    source: str, *, images: Path | None = None, cache: Path | None = None, strict: bool = False
) -> StoredPhotos:
    """The usable photos of a source; the others are counted in ``skipped``.

    ``images`` is the folder of a table's photos: by default ``images`` beside it where there is one, else the table's
    own folder. ``cache`` is a folder where indices of shards are kept for the next time. With ``strict`` nothing of a
    table is left out: its first row at fault is an error, and so are missing photos. Raises InputError, in one line,
    when the source is not there, is none of those in docs/data.md, has its coordinates swapped, or has no usable
    photo; MissingExtraError for one that needs an extra.
    """
    return scan(source, images=images, cache=cache, strict=strict).usable()


def scan(
    source: str,
    *,
    images: Path | None = None,
    cache: Path | None = None,
    strict: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Scan:
    """As ``open_photos``, but a source without usable photos or with swapped columns is reported, not refused."""
    if source.startswith("hf:"):
        _refuse_images(source, images)
        return scan_hugging_face(source.removeprefix("hf:"))
    if found := find_benchmark(source):
        return scan_benchmark(*found, images)
    if ".tar" in source.rpartition("/")[2]:
        _refuse_images(source, images)
        return scan_shards(source, progress, cache)
    if "://" in source:
        raise InputError(
            f"{source}: only shards can be read from an address, such as s3://bucket/*.tar; copy other data here"
        )
    path = Path(source)
    if path.suffix.lower() in SUFFIXES:
        beside = path.parent / "images"
        folder = images or (beside if beside.is_dir() else path.parent)
        return scan_places(path, folder) if strict else scan_table(path, folder)
    _refuse_images(source, images)
    if path.is_dir():
        return scan_folder(path, progress)
    raise InputError(f"{source}: no such data set; expected {EXPECTED}")


def _refuse_images(source: str, images: Path | None) -> None:
    if images is not None:
        raise InputError(
            f"{source}: --images {images} works with tables only; leave it out, since this source contains its photos"
        )
