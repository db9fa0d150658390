"""What a model promised about its answers, and what was found: probabilities within 200 km, 50 and 90 % regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from earthclip.evaluation.calibration import PROMISES, calibration_error
from earthclip.geo.cells import cell_of
from earthclip.locating.prediction import Prediction
from earthclip.locating.trust import CONFIDENCE_KM
from earthclip.metrics import LEVEL, RESAMPLES, Interval, resampled_rows

BINS = 10


@dataclass(frozen=True)
class Bin:
    """The answers whose promised probability lies in [low, high): mean promise, and the share found within 200 km."""

    low: float
    high: float
    n: int
    promised: float
    found: float
    found_interval: Interval


@dataclass(frozen=True)
class Coverage:
    """The regions said to hold ``promised`` of the truths: the share they held, and their median area."""

    promised: float
    found: float
    found_interval: Interval
    median_area_km2: float


@dataclass(frozen=True)
class CalibrationReport:
    """The curve, in bins with answers in them; the expected calibration error; the coverage of the regions."""

    within_km: float
    promised: float
    found: float
    found_interval: Interval
    calibration_error: float
    calibration_error_interval: Interval
    curve: list[Bin]
    regions: list[Coverage]


@dataclass(frozen=True, eq=False)
class Promises:
    """Of n answers: ``held``, the probability within 200 km of the place given; ``covered`` and ``area_km2``, whether
    the regions for ``PROMISES`` held the truth, and how large they were."""

    held: Float64[np.ndarray, " n"]
    covered: Bool[np.ndarray, "n promises"]
    area_km2: Float64[np.ndarray, "n promises"]


@dataclass(frozen=True)
class Promise:
    """One answer's row of ``Promises``."""

    held: float
    covered: tuple[bool, ...]
    area_km2: tuple[float, ...]


def promise_of(prediction: Prediction, truth: Float[np.ndarray, " 2"]) -> Promise | None:
    """What one answer promised; None for one that was read back from a file without its regions."""
    if prediction.confidence is None:
        return None
    regions = {region.mass: region for region in prediction.credible}
    chosen = [regions[mass] for mass in PROMISES]
    covered = tuple(bool(np.isin(cell_of(truth[None], region.level)[0], region.cells)) for region in chosen)
    return Promise(prediction.confidence, covered, tuple(region.area_km2 for region in chosen))


def joined(rows: list[Promise]) -> Promises:
    """The rows, one at least, as arrays."""
    return Promises(
        np.array([row.held for row in rows], np.float64),
        np.array([row.covered for row in rows], bool),
        np.array([row.area_km2 for row in rows], np.float64),
    )


def calibration_report(
    promises: Promises, errors_km: Float[np.ndarray, " n"], resamples: int = RESAMPLES, seed: int = 0
) -> CalibrationReport:
    """What was promised set beside what was found for answers with these errors in km.

    Intervals are bootstrap intervals; of a share, a resample's count is a binomial draw. That of the calibration error
    lies high where bins hold few answers, as the error itself does.
    """
    hit = errors_km <= CONFIDENCE_KM
    rng = np.random.default_rng(seed)

    def share_interval(found: np.ndarray) -> Interval:
        return _interval(rng.binomial(found.size, found.mean(), resamples) / found.size)

    bins = np.minimum((promises.held * BINS).astype(int), BINS - 1)
    curve = []
    for number in np.unique(bins).tolist():
        inside = bins == number
        curve.append(
            Bin(
                number / BINS,
                (number + 1) / BINS,
                int(inside.sum()),
                float(promises.held[inside].mean()),
                float(hit[inside].mean()),
                share_interval(hit[inside]),
            )
        )
    regions = [
        Coverage(promise, float(held.mean()), share_interval(held), float(np.median(area)))
        for promise, held, area in zip(PROMISES, promises.covered.T, promises.area_km2.T, strict=True)
    ]
    return CalibrationReport(
        CONFIDENCE_KM,
        float(promises.held.mean()),
        float(hit.mean()),
        share_interval(hit),
        calibration_error(promises.held, hit),
        _interval(_resampled_errors(promises.held - hit, bins, resamples, seed)),
        curve,
        regions,
    )


def _resampled_errors(off: np.ndarray, bins: np.ndarray, resamples: int, seed: int) -> Float64[np.ndarray, " r"]:
    errors = np.empty(resamples)
    for first, rows in resampled_rows(len(off), resamples, seed):
        cells = bins[rows] + BINS * np.arange(len(rows))[:, None]
        sums = np.bincount(cells.ravel(), off[rows].ravel(), BINS * len(rows)).reshape(-1, BINS)
        errors[first : first + len(rows)] = np.abs(sums).sum(axis=1) / len(off)
    return errors


def _interval(values: np.ndarray) -> Interval:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
