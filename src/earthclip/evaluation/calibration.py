"""What a model's probabilities are worth on pictures with known places, at any temperature and calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from earthclip.datasets.rows import Places, find_pictures
from earthclip.errors import InputError
from earthclip.evaluation.outcomes import PROMISES, Outcomes, short
from earthclip.geo.cells import cell_area_km2, cell_of
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.gallery import Gallery
from earthclip.locating.locator import Locator
from earthclip.locating.posterior import Posterior
from earthclip.locating.trust import CONFIDENCE_KM, cell_masses, judge
from earthclip.models.config import Calibration
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
    ``loss`` the negative log likelihood of the true cell, and ``entropy`` that of the posterior, in nats.
    """

    before: Float64[np.ndarray, " n"]
    loss: Float64[np.ndarray, " n"]
    entropy: Float64[np.ndarray, " n"]

    def take(self, rows: Int64[np.ndarray, " m"]) -> CellOutcomes:
        """The outcomes of the chosen pictures, in that order."""
        return CellOutcomes(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

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
    here = posterior.calibration_here
    wanted = [here.mass_for(promise) if here else promise for promise in promises]
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
        np.array([posterior.entropy()]),
    )


def joined(rows: Sequence[CellOutcomes]) -> CellOutcomes:
    """All outcomes, in order; one at least."""
    return CellOutcomes(*(np.concatenate(column) for column in zip(*(row.columns for row in rows), strict=True)))


def cell_loss(mass: np.ndarray | float, level: np.ndarray | int) -> np.ndarray:
    """The negative log likelihood in nats of true cells of these levels that hold ``mass`` of the probability."""
    return np.asarray(-np.log((1 - _STRAY) * np.minimum(mass, 1.0) + _STRAY / (12 * 4.0**level)))


FEWEST = 30  # pictures; with fewer, half of them cannot tell where nine in ten truths lie


def evidence_of(
    locator: Locator,
    manifests: Sequence[tuple[Places, Path]],
    progress: Callable[[int, int], None] | None = None,
    *,
    workers: int = 0,
) -> Evidence:
    """The embeddings and places of the pictures of manifests, each with the folder of its pictures, one after another.

    ``progress`` hears of pictures done and in all; ``workers`` processes read the pictures ahead of the encoder. Raises
    InputError for missing or unreadable pictures, and fewer than 30 of them.
    """
    paths = [path for places, images in manifests for path in find_pictures(places, images)]
    if len(paths) < FEWEST:
        raise InputError(
            f"{manifests[0][0].name}: {len(paths)} pictures are too few to calibrate on; give at least {FEWEST}, "
            "better 500"
        )
    rows, done = [], 0
    with Reader(locator.folder.preprocessing, workers=workers) as reader:
        for batch in batches(reader.read_ahead(paths, _AT_ONCE + 2 * workers), _AT_ONCE):
            rows.append(locator.encode_image(batch))
            done += len(batch)
            if progress:
                progress(done, len(paths))
    truths = np.concatenate([places.coordinates for places, _ in manifests])
    return Evidence(locator.gallery, locator.config.logit_scale, np.concatenate(rows), truths)
