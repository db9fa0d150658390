"""Published figures to set a measured one beside, each with its source.

Quoted as the papers give them; nothing here was measured by this package, and test-time protocols differ (GeoCLIP
averages ten crops, GeoRanker and GeoSearch ask large vision-language models, GeoSearch the web).
"""

from __future__ import annotations

from dataclasses import dataclass

from earthclip.errors import InputError
from earthclip.metrics import THRESHOLDS_KM


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
        raise InputError(f"no leaderboard {name!r} is known here; expected {known}, or --leaderboard as the last word")
    return LEADERBOARDS[name]
