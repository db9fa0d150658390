"""Fitting a model's temperature and regions to known places, and calibrating on a manifest."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64

from earthclip.datasets.rows import find_pictures, read_places
from earthclip.errors import InputError
from earthclip.evaluation.outcomes import PROMISES, Outcomes, short
from earthclip.geo.cells import cell_area_km2, cell_of
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.gallery import Gallery
from earthclip.locating.locator import Locator
from earthclip.locating.posterior import Posterior
from earthclip.locating.trust import CONFIDENCE_KM, cell_masses, judge
from earthclip.models.config import Calibration, ModelConfig, write_config
from earthclip.models.folder import ModelFolder
from earthclip.pictures.prepare import batches
from earthclip.pictures.reader import Reader

TEMPERATURES = np.geomspace(0.1, 10.0, 21)
_STRAY = 0.01  # of the probability is taken as spread over the Earth, or a cell without places would cost infinitely
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Evidence:
    """Pictures' ``embeddings`` [n, d] and true places ``truths`` [n, 2], and the gallery they are located in."""

    gallery: Gallery
    logit_scale: float
    embeddings: Float32[np.ndarray, "n d"]
    truths: Float64[np.ndarray, "n 2"]

    def __len__(self) -> int:
        return len(self.truths)

    def take(self, rows: Bool[np.ndarray, " n"]) -> Evidence:
        """The chosen pictures."""
        return Evidence(self.gallery, self.logit_scale, self.embeddings[rows], self.truths[rows])

    def each(self, visit: Callable[[int, Posterior, Float32[np.ndarray, " m"]], None]) -> None:
        """Call ``visit`` with each picture's index, its posterior at temperature 1, and its logits [m]."""
        arranged = None
        for start in range(0, len(self), _AT_ONCE):
            for offset, row in enumerate(
                self.gallery.logits(self.embeddings[start : start + _AT_ONCE], self.logit_scale)
            ):
                posterior = Posterior.from_logits(self.gallery.coordinates, row, arranged=arranged)
                arranged = posterior.place_cells
                visit(start + offset, posterior, row)


@dataclass(frozen=True, eq=False)
class CellOutcomes(Outcomes):
    """Outcomes with what fitting needs to know of the true cell.

    ``before`` is the probability of all cells more probable than the true one, 1 where that has no place at all;
    ``loss`` the negative log likelihood of the true cell, in nats.
    """

    before: Float64[np.ndarray, " n"]
    loss: Float64[np.ndarray, " n"]

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """The arrays, in the order in which they are declared."""
        return tuple(getattr(self, name) for name in self.__dataclass_fields__)

    def summary(self) -> dict[str, Any]:
        """As of all outcomes, with the mean loss."""
        return {**super().summary(), "loss": short(self.loss.mean())}


def temperature_losses(evidence: Evidence) -> Float64[np.ndarray, "n temperatures"]:
    """The negative log likelihood in nats of each picture's true cell at each of ``TEMPERATURES``."""
    losses = np.empty((len(evidence), len(TEMPERATURES)))

    def visit(index: int, posterior: Posterior, logits: np.ndarray) -> None:
        level = cell_masses(posterior).level
        cell = cell_of(evidence.truths[index : index + 1], level)[0]
        there = posterior.place_cells.in_cell(int(cell), level)
        shifted = logits - logits.max()
        for column, temperature in enumerate(TEMPERATURES):
            weights = np.exp(shifted / np.float32(temperature))
            losses[index, column] = cell_loss(float(weights[there].sum() / weights.sum()), level)

    evidence.each(visit)
    return losses


def best_temperature(losses: Float64[np.ndarray, "n temperatures"]) -> float:
    """The temperature of the least mean loss: of a parabola through the best of ``TEMPERATURES`` and its neighbours."""
    mean = losses.mean(axis=0)
    best = int(np.clip(mean.argmin(), 1, len(mean) - 2))
    low, middle, high = mean[best - 1 : best + 2]
    bend = low - 2 * middle + high
    step = float(np.clip((low - high) / (2 * bend), -1, 1)) if bend > 0 else 0.0
    return float(round(TEMPERATURES[best] * (TEMPERATURES[1] / TEMPERATURES[0]) ** step, 4))


def conformal_masses(before: Float64[np.ndarray, " n"], promises: Sequence[float] = PROMISES) -> dict[str, float]:
    """For each promised share, the mass whose region holds the true place of that share of pictures.

    ``before`` is that of ``CellOutcomes``.

    1 where no mass is enough, since too many truths lie in cells without a place. Raises InputError when the pictures
    are too few for a promise: it takes 9 for 0.9.
    """
    ordered = np.sort(before)
    masses = {}
    for promise in promises:
        rank = math.ceil((len(ordered) + 1) * promise)
        if rank > len(ordered):
            raise InputError(f"{len(ordered)} pictures are too few to promise {promise:.0%}; 500 or more tell most")
        # The truth's cell belongs to the region when those before it hold less than the mass.
        masses[str(promise)] = float(np.nextafter(min(ordered[rank - 1], 1.0), 1.0))
    return masses


def outcomes(
    evidence: Evidence,
    temperature: float = 1.0,
    calibration: Calibration | None = None,
    promises: Sequence[float] = PROMISES,
) -> CellOutcomes:
    """What the regions and verdicts of a model of this temperature and calibration are worth on the pictures."""
    rows = []

    def visit(index: int, plain: Posterior, logits: np.ndarray) -> None:
        posterior = Posterior.from_logits(plain.coordinates, logits, temperature, calibration, plain.place_cells)
        rows.append(cell_outcome(posterior, evidence.truths[index], promises))

    evidence.each(visit)
    return joined(rows)


def cell_outcome(
    posterior: Posterior, truth: Float64[np.ndarray, " 2"], promises: Sequence[float] = PROMISES
) -> CellOutcomes:
    """What the regions and the verdict of one answer are worth, one row; ``truth`` is in degrees."""
    wanted = [posterior.calibration.mass_for(promise) if posterior.calibration else promise for promise in promises]
    found = cell_masses(posterior)
    (where,) = np.flatnonzero(found.cells == cell_of(truth[None], found.level)[0])[:1].tolist() or [-1]
    counts = np.array([found.count(mass) for mass in wanted])
    best = posterior.coordinates[posterior.best(1)[0]]
    _, held = judge(posterior, best)
    return CellOutcomes(
        np.array([held]),
        np.array([great_circle_km(best, truth) <= CONFIDENCE_KM]),
        ((where >= 0) & (where < counts))[None],
        (counts * cell_area_km2(found.level))[None],
        np.array([found.before[where] if where >= 0 else 1.0]),
        cell_loss(found.masses[[where]] if where >= 0 else np.zeros(1), found.level),
    )


def joined(rows: Sequence[CellOutcomes]) -> CellOutcomes:
    """All outcomes, in order; one at least."""
    return CellOutcomes(*(np.concatenate(column) for column in zip(*(row.columns for row in rows), strict=True)))


def cell_loss(mass: np.ndarray | float, level: np.ndarray | int) -> np.ndarray:
    """The negative log likelihood in nats of true cells of these levels that hold ``mass`` of the probability."""
    return np.asarray(-np.log((1 - _STRAY) * np.minimum(mass, 1.0) + _STRAY / (12 * 4.0**level)))


FEWEST = 30  # pictures; with fewer, half of them cannot tell where nine in ten truths lie


@dataclass(frozen=True)
class Fit:
    """What was fitted, ``temperature`` and ``calibration``, and the summaries ``before`` and ``after``."""

    temperature: float
    calibration: Calibration
    before: dict[str, Any]
    after: dict[str, Any]


def evidence_of(
    locator: Locator,
    manifest_path: Path,
    images_dir: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    workers: int = 0,
) -> Evidence:
    """The embeddings and places of a manifest's pictures; ``progress`` hears of pictures done and in all.

    ``workers`` processes read the pictures ahead of the encoder. Raises InputError for an unreadable table, missing or
    unreadable pictures, and fewer than 30 of them.
    """
    manifest = read_places(manifest_path)
    if len(manifest) < FEWEST:
        raise InputError(
            f"{manifest_path}: {len(manifest)} pictures are too few to calibrate on; give at least {FEWEST}, better 500"
        )
    paths = find_pictures(manifest, images_dir)
    rows, done = [], 0
    with Reader(locator.folder.preprocessing, workers=workers) as reader:
        for batch in batches(reader.read_ahead(paths, _AT_ONCE + 2 * workers), _AT_ONCE):
            rows.append(locator.encode_image(batch))
            done += len(batch)
            if progress:
                progress(done, len(paths))
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
    before, after = outcomes(evidence).summary(), joined(found).summary()
    measured = {"pictures": source, "before": before, "after": after}
    return Fit(temperature, dataclasses.replace(calibration, measured=measured), before, after)


def write_calibration(folder: ModelFolder, fitted: Fit) -> ModelConfig:
    """Put what was fitted into the folder's config.json, and return it."""
    config = dataclasses.replace(folder.config, temperature=fitted.temperature, calibration=fitted.calibration)
    return write_config(folder.path, config)


def format_fit(fitted: Fit) -> str:
    """The fit for people: its numbers, and how well the probabilities held before and after."""
    sides = (fitted.before, fitted.after)
    rows = [("", ["before", "after"])]
    for promise in map(str, PROMISES):
        shares = [f"{100 * side['coverage'][promise]:.1f} %" for side in sides]
        rows.append((f"true place in {_percent(promise)} region", shares))
        rows.append(("median area of the region, km²", [f"{side['median_area_km2'][promise]:,}" for side in sides]))
    rows.append(("calibration error", [f"{side['calibration_error']:.3f}" for side in sides]))
    rows.append(("negative log likelihood", [f"{side['loss']:.3f}" for side in sides]))
    masses = ", ".join(f"{mass:.3f} for {_percent(p)}" for p, mass in fitted.calibration.conformal.items())
    lines = [f"temperature {fitted.temperature:g}; probability that a region must hold: {masses}"]
    return "\n".join(lines + [f"{name:<32}{before:>14}{after:>14}" for name, (before, after) in rows])


def _percent(share: str) -> str:
    return f"{100 * float(share):.0f} %"
