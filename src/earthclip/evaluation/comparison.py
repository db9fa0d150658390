"""Answers beside another model's, picture by picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from earthclip.metrics import RESAMPLES, THRESHOLDS_KM, Intervals, Report, bootstrap


@dataclass(frozen=True)
class Agreement:
    """How many pictures both, one or neither system placed within a threshold.

    ``p_value`` is that of McNemar's exact test, two-sided: how often pictures on which the systems differ would be
    split at least so unevenly if each were as likely to go one way as the other.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """The first system minus the second on n pictures; ``first`` and ``second`` are their own reports.

    ``accuracy``, ``median_km``, ``mean_km`` and ``geoscore`` are differences, ``intervals`` theirs; ``agreement`` maps
    each threshold in km to counts. ``grouped_intervals`` are those of the differences by whole groups of pictures.
    """

    names: tuple[str, str]
    first: Report
    second: Report
    second_intervals: Intervals
    accuracy: dict[str, float]
    median_km: float
    mean_km: float
    geoscore: float
    intervals: Intervals
    agreement: dict[str, Agreement]
    grouped_intervals: Intervals | None = None


def compare(
    names: tuple[str, str],
    first_km: Float[np.ndarray, " n"],
    second_km: Float[np.ndarray, " n"],
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> Comparison:
    """Compare errors in km of the same n pictures in the same order; for ``groups`` see ``metrics.bootstrap``.

    Raises InputError as ``Report.from_errors``.
    """
    first, second = Report.from_errors(first_km), Report.from_errors(second_km)
    both_km = np.stack([first_km, second_km])
    figures = bootstrap(both_km, resamples, seed)
    grouped = None if groups is None else bootstrap(both_km, resamples, seed, groups)
    return Comparison(
        names,
        first,
        second,
        Intervals.from_figures((figures if grouped is None else grouped)[1]),
        {km: first.accuracy[km] - second.accuracy[km] for km in first.accuracy},
        first.median_km - second.median_km,
        first.mean_km - second.mean_km,
        first.geoscore - second.geoscore,
        Intervals.from_figures(figures[0] - figures[1]),
        {str(km): _agreement(first_km <= km, second_km <= km) for km in THRESHOLDS_KM},
        None if grouped is None else Intervals.from_figures(grouped[0] - grouped[1]),
    )


def exact_p_value(only_first: int, only_second: int) -> float:
    """Two-sided p-value of a fair coin that fell ``only_first`` times on one side and ``only_second`` on the other."""
    n, fewer = only_first + only_second, min(only_first, only_second)
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(fewer + 1)]
    return min(1.0, 2 * math.fsum(math.exp(log - n * math.log(2)) for log in logs))


def _agreement(first: np.ndarray, second: np.ndarray) -> Agreement:
    both, neither = int(np.sum(first & second)), int(np.sum(~first & ~second))
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(~first & second))
    return Agreement(both, only_first, only_second, neither, exact_p_value(only_first, only_second))
