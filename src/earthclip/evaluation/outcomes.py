"""What a model promised about its answers, and what was found: probabilities within 200 km, 50 and 90 % regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from earthclip.geo.cells import cell_of
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.prediction import Prediction
from earthclip.locating.trust import CONFIDENCE_KM
from earthclip.metrics import LEVEL, RESAMPLES, Interval, resampled_groups, resampled_rows

PROMISES = (0.5, 0.9)
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


@dataclass(frozen=True)
class Outcome:
    """One answer's row of ``Outcomes``."""

    held: float
    hit: bool
    covered: tuple[bool, ...]
    area_km2: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of n answers, one row for each.

    ``held`` is the probability within 200 km of the place given, ``hit`` whether the truth lies there; ``covered``
    whether the region for each of ``PROMISES`` held the truth, ``area_km2`` how large these regions are.
    """

    held: Float64[np.ndarray, " n"]
    hit: Bool[np.ndarray, " n"]
    covered: Bool[np.ndarray, "n promises"]
    area_km2: Float64[np.ndarray, "n promises"]

    @classmethod
    def of(cls, rows: Sequence[Outcome]) -> Outcomes:
        """The rows, one at least, as arrays."""
        return cls(
            np.array([row.held for row in rows], np.float64),
            np.array([row.hit for row in rows], bool),
            np.array([row.covered for row in rows], bool),
            np.array([row.area_km2 for row in rows], np.float64),
        )

    def summary(self) -> dict[str, Any]:
        """Coverage and median area of the regions, and the calibration error; fractions and km2."""
        return {
            "n": len(self.held),
            "coverage": {str(p): short(c) for p, c in zip(PROMISES, self.covered.mean(axis=0), strict=True)},
            "median_area_km2": {
                str(p): round(float(a)) for p, a in zip(PROMISES, np.median(self.area_km2, axis=0), strict=True)
            },
            f"within_{CONFIDENCE_KM:.0f}_km": {"promised": short(self.held.mean()), "found": short(self.hit.mean())},
            "calibration_error": short(calibration_error(self.held, self.hit)),
        }


def outcome_of(prediction: Prediction, truth: Float[np.ndarray, " 2"]) -> Outcome | None:
    """What became of one answer; None for one that was read back from a file without its regions."""
    if prediction.confidence is None:
        return None
    regions = {region.mass: region for region in prediction.credible}
    chosen = [regions[mass] for mass in PROMISES]
    covered = tuple(bool(np.isin(cell_of(truth[None], region.level)[0], region.cells)) for region in chosen)
    hit = bool(great_circle_km(prediction.coordinates[0], truth) <= CONFIDENCE_KM)
    return Outcome(prediction.confidence, hit, covered, tuple(region.area_km2 for region in chosen))


def calibration_error(promised: Float64[np.ndarray, " n"], found: Bool[np.ndarray, " n"]) -> float:
    """Expected calibration error: the mean distance of promise and truth over 10 bins, weighted by pictures.

    Source: Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (2015).
    """
    bins = np.minimum((promised * BINS).astype(int), BINS - 1)
    off = np.bincount(bins, promised, BINS) - np.bincount(bins, found, BINS)
    return float(np.abs(off).sum() / len(promised))


def short(value: float) -> float:
    """A fraction to four decimals."""
    return round(float(value), 4)


def calibration_report(
    outcomes: Outcomes,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> CalibrationReport:
    """What was promised set beside what was found.

    Intervals are bootstrap intervals, by whole ``groups`` of answers where they are given (see ``metrics.bootstrap``);
    of a share, a resample's count is a binomial draw. That of the calibration error lies high where bins hold few
    answers, as the error itself does.
    """
    hit = outcomes.hit
    rng = np.random.default_rng(seed)

    def share_interval(found: np.ndarray, rows: np.ndarray | None = None) -> Interval:
        chosen = np.ones(len(hit), bool) if rows is None else rows
        if groups is None or len(np.unique(groups[chosen])) < 2:  # one group tells nothing of others
            return _interval(rng.binomial(found.size, found.mean(), resamples) / found.size)
        shares = []
        for _, times in resampled_groups(groups, resamples, seed):
            sizes = times[:, chosen].sum(axis=1)
            shares.append((times[:, chosen] @ found.astype(np.float64))[sizes > 0] / sizes[sizes > 0])
        return _interval(np.concatenate(shares))

    bins = np.minimum((outcomes.held * BINS).astype(int), BINS - 1)
    curve = []
    for number in np.unique(bins).tolist():
        inside = bins == number
        curve.append(
            Bin(
                number / BINS,
                (number + 1) / BINS,
                int(inside.sum()),
                float(outcomes.held[inside].mean()),
                float(hit[inside].mean()),
                share_interval(hit[inside], inside),
            )
        )
    regions = [
        Coverage(promise, float(held.mean()), share_interval(held), float(np.median(area)))
        for promise, held, area in zip(PROMISES, outcomes.covered.T, outcomes.area_km2.T, strict=True)
    ]
    return CalibrationReport(
        CONFIDENCE_KM,
        float(outcomes.held.mean()),
        float(hit.mean()),
        share_interval(hit),
        calibration_error(outcomes.held, hit),
        _interval(_resampled_errors(outcomes.held - hit, bins, resamples, seed, groups)),
        curve,
        regions,
    )


def _resampled_errors(
    off: np.ndarray, bins: np.ndarray, resamples: int, seed: int, groups: Int64[np.ndarray, " n"] | None
) -> Float64[np.ndarray, " r"]:
    errors = np.empty(resamples)
    if groups is not None:
        in_bins = off[:, None] * (bins[:, None] == np.arange(BINS))
        for first, times in resampled_groups(groups, resamples, seed):
            errors[first : first + len(times)] = np.abs(times @ in_bins).sum(axis=1) / times.sum(axis=1)
        return errors
    for first, rows in resampled_rows(len(off), resamples, seed):
        cells = bins[rows] + BINS * np.arange(len(rows))[:, None]
        sums = np.bincount(cells.ravel(), off[rows].ravel(), BINS * len(rows)).reshape(-1, BINS)
        errors[first : first + len(rows)] = np.abs(sums).sum(axis=1) / len(off)
    return errors


def _interval(values: np.ndarray) -> Interval:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
