"""What is evaluated: a table of answers against one of true places, or the pictures of a table; and the short report.

A table of answers may come from any model, so published results and ours pass through the same arithmetic.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from earthclip.datasets.manifest import Manifest, read_manifest
from earthclip.datasets.photos import FileStore, StoredPhotos
from earthclip.errors import InputError
from earthclip.evaluation.answers import answers_for
from earthclip.geo.sphere import great_circle_km
from earthclip.metrics import Report
from earthclip.pictures.kinds import PICTURE_SUFFIXES


def evaluate_predictions(predictions_path: str | Path, truth_path: str | Path) -> Report:
    """The report on a table of answers (``answers_for``) against a CSV of truths with the columns IMG_ID, LAT, LON.

    Raises InputError for an unreadable table, and unless both tables name the same pictures.
    """
    truth = read_manifest(truth_path)
    return Report.from_errors(great_circle_km(truth.coordinates, answers_for(truth, Path(predictions_path))))


def manifest_photos(manifest_path: str | Path, images_dir: str | Path | None = None) -> StoredPhotos:
    """The pictures of a manifest as photos with known places, in its order.

    Pictures are files of ``images_dir`` named by IMG_ID, as it is or with .jpg, .jpeg or .png added; by default it is
    ``images`` beside the manifest where there is one, else the manifest's own folder. Raises InputError for an
    unreadable table and for pictures that are missing (all counted, one named).
    """
    manifest = read_manifest(manifest_path)
    if images_dir is None:
        beside = Path(manifest_path).parent / "images"
        images_dir = beside if beside.is_dir() else beside.parent
    found = find_pictures(manifest, Path(images_dir))
    names = [str(path.relative_to(images_dir)) for path in found]
    store = FileStore(Path(images_dir), names)
    return StoredPhotos(manifest.source, manifest.ids, manifest.coordinates, np.arange(len(names)), store)


def find_pictures(manifest: Manifest, images_dir: Path) -> list[Path]:
    """The file of each picture of the manifest, in its order; raises InputError when the folder lacks some."""
    if not images_dir.is_dir():
        raise InputError(f"{images_dir}: expected the folder of the pictures that {manifest.source} names, found none")
    found = [_find(images_dir, name) for name in manifest.ids]
    missing = [name for name, path in zip(manifest.ids, found, strict=True) if path is None]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(manifest)} pictures of {manifest.source} are not in {images_dir}, "
            f"e.g. {missing[0]!r}; --images must name the folder that holds them all"
        )
    return [path for path in found if path is not None]


def format_report(report: Report, format: Literal["table", "json"]) -> str:
    """The report for people ("table": aligned lines, shares in %) or for programs ("json": one line, fractions)."""
    if format == "json":
        return report.to_json()
    rows = [("pictures", f"{report.n:,}", "")]
    rows += [(f"within {int(km):,} km", f"{100 * share:.1f}", " %") for km, share in report.accuracy.items()]
    rows += [
        ("median", f"{report.median_km:,.1f}", " km"),
        ("mean", f"{report.mean_km:,.1f}", " km"),
        ("GeoScore", f"{report.geoscore:,.0f}", " of 5,000"),
    ]
    width = max(len(value) for _, value, _ in rows)
    return "\n".join(f"{label:<16}{value:>{width}}{unit}" for label, value, unit in rows)


def _find(folder: Path, name: str) -> Path | None:
    candidates = (folder / f"{name}{suffix}" for suffix in ("", *PICTURE_SUFFIXES))
    return next((path for path in candidates if path.is_file()), None)
