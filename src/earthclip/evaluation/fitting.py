"""Fitting a model's temperature and regions on pictures with known places, and what the fit is worth on others.

Conformal masses are fitted in bins of the model's own confidence, the entropy of its posterior: the pictures of which
it is unsure need other regions than those of which it is sure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64
from tabulate import tabulate

from earthclip.datasets.columns import degrees
from earthclip.errors import InputError
from earthclip.evaluation.calibration import (
    CellOutcomes,
    Evidence,
    best_temperature,
    conformal_masses,
    joined,
    outcomes,
    temperature_losses,
)
from earthclip.evaluation.outcomes import PROMISES, short
from earthclip.models.config import Calibration, ConfidenceBin

ENOUGH = 500  # pictures for bins; fewer fill one
_IN_BIN, _MOST_BINS = 125, 6
_MOST_VALUES, _RANGES = 12, 4  # of a column that is reported by; numbers of more values are put in ranges


@dataclass(frozen=True, eq=False)
class Fit:
    """What was fitted, and outcomes of the pictures: ``before`` under the model as it was, ``after`` under the fit.

    Those after are of each half of the pictures under the fit of the other half. ``bins`` [n] number the pictures'
    confidence from sure to unsure, ``names`` say which entropies these are.
    """

    temperature: float
    calibration: Calibration
    before: CellOutcomes
    after: CellOutcomes
    bins: Int64[np.ndarray, " n"]
    names: tuple[str, ...]

    @property
    def misses(self) -> tuple[float, float]:
        """How far the coverage is from the promise, before and after: the mean over promises and bins."""
        return _miss(self.before, self.bins), _miss(self.after, self.bins)

    @property
    def is_worse(self) -> bool:
        """Whether the regions of pictures not fitted on keep less than before, by more than chance explains."""
        before, after = self.misses
        return after > before + float(np.sqrt(0.25 / len(self.bins)))


def fit(
    evidence: Evidence,
    source: str,
    temperature: float = 1.0,
    calibration: Calibration | None = None,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> Fit:
    """Temperature and conformal masses from all pictures; ``source`` says which they were.

    ``temperature`` and ``calibration`` are the model's own so far. ``groups`` number the pictures' authors where they
    are known: the two halves then share none. Raises InputError for pictures of which more than a tenth lie where the
    gallery has no place.
    """
    losses = temperature_losses(evidence)
    warm = best_temperature(losses)
    whole = outcomes(evidence, warm)
    if (lost := int((whole.before >= 1.0).sum())) > (1 - max(PROMISES)) * len(evidence):
        raise InputError(
            f"{source}: {lost:,} of the {len(evidence):,} true places have no candidate place of the model near them, "
            f"so that no region can hold {max(PROMISES):.0%} of them; leave them out, or extend gallery.npy"
        )
    fitted = _binned(whole)
    halves = _halves(len(evidence), groups)
    rows, parts = [], []
    for inside, held_out in (halves, halves[::-1]):
        half = best_temperature(losses[inside])
        parts.append(outcomes(evidence.take(held_out), half, _binned(outcomes(evidence.take(inside), half))))
        rows.append(np.flatnonzero(held_out))
    after = joined(parts).take(np.argsort(np.concatenate(rows)))
    before = outcomes(evidence, temperature, calibration)
    measured = {"pictures": source, "before": before.summary(), "after": after.summary()}
    bounds = [confidence.below_nats for confidence in fitted.bins or () if confidence.below_nats is not None]
    names = [f"entropy below {bound:.1f}" for bound in bounds] + ([f"from {bounds[-1]:.1f} on"] if bounds else ["all"])
    bins = np.searchsorted(np.array(bounds), whole.entropy, side="right").astype(np.int64)
    return Fit(warm, dataclasses.replace(fitted, measured=measured), before, after, bins, tuple(names))


def _binned(found: CellOutcomes) -> Calibration:
    """Masses of all pictures, and from 500 pictures on of each bin of entropies."""
    count = min(_MOST_BINS, len(found.before) // _IN_BIN) if len(found.before) >= ENOUGH // 2 else 1
    plain = conformal_masses(found.before)
    bounds = np.unique(np.quantile(found.entropy, np.linspace(0, 1, count + 1)[1:-1]).round(4))
    which = np.searchsorted(bounds, found.entropy, side="right")
    if len(bounds) == 0 or np.bincount(which, minlength=len(bounds) + 1).min() < _IN_BIN // 4:
        return Calibration(plain)
    masses = [conformal_masses(found.before[which == number]) for number in range(len(bounds) + 1)]
    tops = [*bounds.tolist(), None]
    return Calibration(plain, bins=tuple(ConfidenceBin(own, top) for own, top in zip(masses, tops, strict=True)))


def _halves(n: int, groups: Int64[np.ndarray, " n"] | None) -> list[np.ndarray]:
    """Two masks: every other picture, or every other group from the largest on, until half of the pictures are in."""
    if groups is None:
        return [np.arange(n) % 2 == half for half in (0, 1)]
    sizes = np.bincount(groups)
    side, filled = np.empty(len(sizes), np.int64), [0, 0]
    for group in np.argsort(-sizes, kind="stable").tolist():
        side[group] = int(filled[0] > filled[1])
        filled[side[group]] += int(sizes[group])
    return [side[groups] == half for half in (0, 1)]


def _miss(found: CellOutcomes, bins: Int64[np.ndarray, " n"]) -> float:
    coverage = np.stack([found.covered[bins == number].mean(axis=0) for number in np.unique(bins)])
    return float(np.abs(coverage - np.array(PROMISES)).mean())


def ranges(values: Sequence[str], column: str) -> list[str]:
    """A group for each of a column's values: the value, or of numbers with more than 12 values a range of them.

    Raises InputError for a column of more than 12 values that are not numbers.
    """
    if len(set(values)) <= _MOST_VALUES:
        return list(values)
    numbers = np.array([degrees(value) for value in values])
    if not np.isfinite(numbers).all():
        raise InputError(
            f"--by {column}: {len(set(values)):,} different values; expected numbers, or at most {_MOST_VALUES} values"
        )
    ends = np.quantile(numbers, np.linspace(0, 1, _RANGES + 1))
    which = np.searchsorted(ends[1:-1], numbers, side="right")
    return [f"{ends[number]:.4g} to {ends[number + 1]:.4g}" for number in which]


def summary(fitted: Fit, by: Mapping[str, Sequence[str]]) -> str:
    """The fit for people: its numbers, how well the probabilities held before and after, in all and by group."""
    sides = (fitted.before.summary(), fitted.after.summary())
    figures = [
        ("calibration error", *(f"{side['calibration_error']:.3f}" for side in sides)),
        ("negative log likelihood", *(f"{side['loss']:.3f}" for side in sides)),
        ("regions off their promise", *(f"{100 * miss:.1f} %" for miss in fitted.misses)),
    ]
    count = len(fitted.calibration.bins or ()) or 1
    blocks = [
        f"temperature {fitted.temperature:g}; {count} bin{'s' if count > 1 else ''} of confidence",
        _table(("", "before", "after"), figures),
        "True places in the regions, and the median area of the 90 % regions, before and after:",
    ]
    kinds: dict[str, Sequence[str]] = {"pictures": ["all"] * len(fitted.bins)}
    kinds["confidence"] = [fitted.names[number] for number in fitted.bins]
    for column, labels in (kinds | dict(by)).items():
        order = fitted.names if column == "confidence" else _ordered(labels)
        rows = [_row(name, np.array([label == name for label in labels]), fitted) for name in order]
        blocks.append(_table((column, "n", *(f"{p:.0%}" for p in PROMISES), f"{PROMISES[-1]:.0%}, km²"), rows))
    return "\n\n".join(blocks)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    sides = ["left", *("right" for _ in header[1:])]
    return str(tabulate(rows, header, "plain", colalign=sides, disable_numparse=True))


def _row(name: str, inside: np.ndarray, fitted: Fit) -> tuple[str, ...]:
    both = (fitted.before, fitted.after)
    shares = [[100 * side.covered[inside, promise].mean() for side in both] for promise in range(len(PROMISES))]
    areas = [round(float(np.median(side.area_km2[inside, -1]))) for side in both]
    held = (f"{before:.1f} to {after:.1f} %" for before, after in shares)
    return (name, f"{int(inside.sum()):,}", *held, f"{areas[0]:,} to {areas[1]:,}")


def _ordered(labels: Sequence[str]) -> list[str]:
    """Numbers and ranges by their first number, other values by name."""
    keyed = [(degrees(name.split(" to ")[0]), name) for name in set(labels)]
    return [name for _, name in sorted(keyed, key=lambda pair: (np.nan_to_num(pair[0], nan=np.inf), pair[1]))]


def by_group(fitted: Fit, labels: Sequence[str]) -> dict[str, Any]:
    """Coverage of each group under the fit, for ``Calibration.measured``."""
    found = {name: np.array([label == name for label in labels]) for name in _ordered(labels)}
    return {
        name: {str(p): short(c) for p, c in zip(PROMISES, fitted.after.covered[inside].mean(axis=0), strict=True)}
        for name, inside in found.items()
    }
