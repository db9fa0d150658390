"""Answers beside another model's, and beside published figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earthclip.errors import InputError
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
    each threshold in km to counts.
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


def compare(
    names: tuple[str, str],
    first_km: Float[np.ndarray, " n"],
    second_km: Float[np.ndarray, " n"],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare errors in km of the same n pictures in the same order. Raises InputError as ``Report.from_errors``."""
    first, second = Report.from_errors(first_km), Report.from_errors(second_km)
    figures = bootstrap(np.stack([first_km, second_km]), resamples, seed)
    return Comparison(
        names,
        first,
        second,
        Intervals.from_figures(figures[1]),
        {km: first.accuracy[km] - second.accuracy[km] for km in first.accuracy},
        first.median_km - second.median_km,
        first.mean_km - second.mean_km,
        first.geoscore - second.geoscore,
        Intervals.from_figures(figures[0] - figures[1]),
        {str(km): _agreement(first_km <= km, second_km <= km) for km in THRESHOLDS_KM},
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


@dataclass(frozen=True)
class Published:
    """One row: ``accuracy`` is the share in percent within 1, 25, 200, 750 and 2500 km."""

    system: str
    year: int
    accuracy: tuple[float, float, float, float, float]
    idea: str
    source: str

    @property
    def fractions(self) -> dict[str, float]:
        """The accuracy as a Report has it."""
        return {str(km): share / 100 for km, share in zip(THRESHOLDS_KM, self.accuracy, strict=True)}


@dataclass(frozen=True)
class Leaderboard:
    """The published rows of one benchmark of ``n`` pictures (None: not said here)."""

    name: str
    title: str
    n: int | None
    rows: tuple[Published, ...]

    def warning(self, n: int) -> str | None:
        """Why figures of n pictures are not comparable with these, or None."""
        if self.n is None or n == self.n:
            return None
        return f"measured on {n:,} pictures, but {self.title} has {self.n:,}: the rows cannot be compared as they stand"


_GEOCLIP = "Vivanco Cepeda, Nayak, Shah: GeoCLIP, NeurIPS 2023, arXiv 2309.16020"
_IM2GPS3K = (
    Published(
        "ISNs",
        2018,
        (10.5, 28.0, 36.6, 49.7, 66.0),
        "hierarchical cells, scenes",
        "Müller-Budack, Pustu-Iren, Ewerth: Geolocation Estimation of Photos, ECCV 2018",
    ),
    Published("GeoCLIP", 2023, (14.1, 34.5, 50.7, 69.7, 83.8), "GPS gallery", _GEOCLIP),
    Published(
        "PIGEOTTO",
        2024,
        (11.3, 36.7, 53.8, 72.4, 85.3),
        "smoothed cells, prototypes",
        "Haas et al.: PIGEON: Predicting Image Geolocations, CVPR 2024, arXiv 2307.05845",
    ),
    Published(
        "G3",
        2024,
        (16.7, 40.9, 55.6, 71.2, 84.7),
        "retrieval and verification by a vision-language model",
        "Jia et al.: G3, NeurIPS 2024, arXiv 2405.14702",
    ),
    Published(
        "GeoSURGE",
        2026,
        (17.2, 42.5, 58.1, 74.6, 87.6),
        "learned multi-level cells, product of level probabilities",
        "Daruna et al.: GeoSURGE, CVPR 2026, arXiv 2510.01448",
    ),
    Published(
        "GeoRanker",
        2025,
        (18.8, 45.1, 61.5, 76.3, 89.3),
        "distance-aware reranking by a vision-language model",
        "Jia et al.: GeoRanker, 2025, arXiv 2505.13731",
    ),
    Published(
        "Pinpoint",
        2026,
        (20.5, 47.4, 63.5, 79.0, 90.2),
        "GPS tower, image index, small reranker",
        "Chuzhoy et al.: Pinpoint, 2026, arXiv 2606.04133",
    ),
    Published(
        "GeoSearch + GeoRanker",
        2026,
        (23.6, 55.1, 67.1, 79.8, 89.6),
        "reverse image search on the web",
        "Nguyen-Son, Dao, Le-Duc: GeoSearch, 2026, arXiv 2604.25390",
    ),
)

LEADERBOARDS = {
    board.name: board
    for board in (
        Leaderboard("im2gps3k", "Im2GPS3k", 2_997, _IM2GPS3K),
        Leaderboard(
            "yfcc26k",
            "YFCC26k",
            25_600,
            (Published("GeoCLIP", 2023, (11.6, 22.2, 36.7, 57.5, 76.0), "GPS gallery", _GEOCLIP),),
        ),
        Leaderboard(
            "gws15k",
            "GWS15k",
            None,
            (Published("GeoCLIP", 2023, (0.6, 3.1, 16.9, 45.7, 74.1), "GPS gallery", _GEOCLIP),),
        ),
    )
}


def leaderboard(name: str, dataset: str = "") -> Leaderboard:
    """The leaderboard of that name; "auto" is that of ``dataset`` (``yfcc26k:FOLDER``), or else Im2GPS3k's.

    Raises InputError for a name that is none.
    """
    if name == "auto":
        benchmark = dataset.partition(":")[0]
        return LEADERBOARDS.get(benchmark, LEADERBOARDS["im2gps3k"])
    if name not in LEADERBOARDS:
        known = ", ".join(LEADERBOARDS)
        raise InputError(
            f"unknown leaderboard {name!r}; expected {known}, or put a bare --leaderboard at the end of the command"
        )
    return LEADERBOARDS[name]
