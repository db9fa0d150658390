"""One report on a model or on a table of predictions, against a table of true places.

A table of predictions may come from any model, so published results and ours pass through the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from earthclip.datasets.manifest import Manifest, match, read_manifest
from earthclip.errors import InputError
from earthclip.geo.geodesy import great_circle_km
from earthclip.metrics import Report

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")


@runtime_checkable  # so that the checks of signatures in tests can see it
class Located(Protocol):
    """What is asked of an answer; a Prediction is one."""

    @property
    def coordinates(self) -> Float[np.ndarray, "k 2"]:
        """Places in degrees, best first."""


@runtime_checkable
class Locates(Protocol):
    """What is asked of a model; a Locator is one."""

    def locate(self, pictures: Iterable[str | Path], top_k: int = ...) -> Iterator[Located]:
        """One answer for each picture, in order."""


def evaluate_predictions(predictions_path: str | Path, truth_path: str | Path) -> Report:
    """The report on a CSV of predictions against a CSV of truths, rows matched by IMG_ID.

    Raises InputError for an unreadable table, and unless both tables name the same pictures.
    """
    truth, predicted = match(read_manifest(truth_path), read_manifest(predictions_path))
    return Report.from_errors(great_circle_km(truth, predicted))


def evaluate_model(locator: Locates, manifest_path: str | Path, images_dir: str | Path) -> Report:
    """The report on a model's best answer to each picture of a manifest.

    Pictures are files of ``images_dir`` named by IMG_ID, as it is or with .jpg, .jpeg or .png added. Raises InputError
    for an unreadable table, for pictures that are missing (all counted, one named), and for one that is no picture.
    """
    manifest = read_manifest(manifest_path)
    pictures = find_pictures(manifest, Path(images_dir))
    answers = zip(pictures, locator.locate(pictures, top_k=1), strict=True)
    best = np.stack([answer.coordinates[0] for _, answer in answers])
    return Report.from_errors(great_circle_km(manifest.coordinates, best))


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
