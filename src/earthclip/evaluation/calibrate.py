"""Fitting a model's calibration on the pictures of a manifest, and writing it into the model's config.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earthclip.calibration import (
    PROMISES,
    Evidence,
    best_temperature,
    conformal_masses,
    outcomes,
    temperature_losses,
)
from earthclip.datasets.manifest import read_manifest
from earthclip.errors import InputError
from earthclip.evaluation.report import find_pictures
from earthclip.locator import Locator
from earthclip.models.calibration import Calibration
from earthclip.models.config import ModelConfig, write_config
from earthclip.models.folder import ModelFolder

FEWEST = 30  # pictures; with fewer, half of them cannot tell where nine in ten truths lie
_AT_ONCE = 16


@dataclass(frozen=True)
class Fit:
    """What was fitted, ``temperature`` and ``calibration``, and the summaries ``before`` and ``after``."""

    temperature: float
    calibration: Calibration
    before: dict[str, Any]
    after: dict[str, Any]


def evidence_of(
    locator: Locator, manifest_path: Path, images_dir: Path, progress: Callable[[int, int], None] | None = None
) -> Evidence:
    """The embeddings and places of a manifest's pictures; ``progress`` hears of pictures done and in all.

    Raises InputError for an unreadable table, missing or unreadable pictures, and fewer than 30 of them.
    """
    manifest = read_manifest(manifest_path)
    if len(manifest) < FEWEST:
        raise InputError(
            f"{manifest_path}: {len(manifest)} pictures are too few to calibrate on; give {FEWEST} or more, better 500"
        )
    paths = find_pictures(manifest, images_dir)
    rows = []
    for start in range(0, len(paths), _AT_ONCE):
        rows.append(locator.encode_image(paths[start : start + _AT_ONCE]))
        if progress:
            progress(min(start + _AT_ONCE, len(paths)), len(paths))
    return Evidence(locator.gallery, locator.config.logit_scale, np.concatenate(rows), manifest.coordinates)


def fit(evidence: Evidence, source: str) -> Fit:
    """Temperature and conformal masses from all pictures; ``source`` says which they were.

    The figures ``after`` are of each half of the pictures under what was fitted on the other half, those ``before``
    of temperature 1 and no calibration.
    """
    n = len(evidence)
    losses = temperature_losses(evidence)
    temperature = best_temperature(losses)
    calibration = Calibration(conformal_masses(outcomes(evidence, temperature).before))
    halves = [np.arange(n) % 2 == half for half in (0, 1)]
    found = []
    for fitted, held_out in (halves, halves[::-1]):
        warm = best_temperature(losses[fitted])
        masses = conformal_masses(outcomes(evidence.take(fitted), warm).before)
        found.append(outcomes(evidence.take(held_out), warm, Calibration(masses)))
    before, after = outcomes(evidence).summary(), found[0].joined(found[1]).summary()
    measured = {"pictures": source, "before": before, "after": after}
    return Fit(temperature, dataclasses.replace(calibration, measured=measured), before, after)


def write_calibration(folder: ModelFolder, fitted: Fit) -> ModelConfig:
    """Put what was fitted into the folder's config.json, and return it."""
    config = dataclasses.replace(folder.config, temperature=fitted.temperature, calibration=fitted.calibration)
    return write_config(folder.path, config)


def format_fit(fitted: Fit) -> str:
    """The fit for people: its numbers, and what was promised and found before and after."""
    sides = (fitted.before, fitted.after)
    rows = [("", ["before", "after"])]
    for promise in map(str, PROMISES):
        shares = [f"{100 * side['coverage'][promise]:.1f} %" for side in sides]
        rows.append((f"truths in the {float(promise):.0%} region", shares))
        rows.append(("its median area, km2", [f"{side['median_area_km2'][promise]:,}" for side in sides]))
    rows.append(("calibration error", [f"{side['calibration_error']:.3f}" for side in sides]))
    rows.append(("loss, nats", [f"{side['loss']:.3f}" for side in sides]))
    masses = ", ".join(f"{float(p):.0%}: {mass:.3f}" for p, mass in fitted.calibration.conformal.items())
    lines = [f"temperature {fitted.temperature:g}; mass of the regions {masses}"]
    return "\n".join(lines + [f"{name:<26}{before:>14}{after:>14}" for name, (before, after) in rows])
