"""Everything measured of one set of answers, in all and by country and continent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from earthclip.configuration import to_mapping
from earthclip.evaluation.comparison import Comparison, Leaderboard, compare
from earthclip.evaluation.outcomes import CalibrationReport, Outcomes, calibration_report
from earthclip.geo.countries import CONTINENTS, continent_of, countries, country_codes
from earthclip.geo.places import describe
from earthclip.geo.sphere import great_circle_km
from earthclip.metrics import LEVEL, RESAMPLES, Intervals, Report

AT_SEA = "at sea"


@dataclass(frozen=True)
class Group:
    """The figures of the pictures of one country or continent; ``code`` is None for those at sea."""

    code: str | None
    name: str
    report: Report
    intervals: Intervals


def countries_of(coordinates: Float[np.ndarray, "n 2"]) -> list[str | None]:
    """Alpha-2 code of the country of each coordinate in degrees, None at sea.

    A place outside every outline, on a pier or where the outline is simplified, is counted to the country of the town
    that names it (geo/places.py: within 25 km).
    """
    codes = country_codes(coordinates)
    outside = [row for row, code in enumerate(codes) if code is None]
    if outside:
        for row, place in zip(outside, describe(coordinates[outside]), strict=True):
            codes[row] = place.country_code
    return codes


def by_country(
    codes: Sequence[str | None], errors_km: Float[np.ndarray, " n"], resamples: int = RESAMPLES, seed: int = 0
) -> list[Group]:
    """One group for each country among ``codes`` [n], those with most pictures first."""
    known = countries()
    names = {code: known[code].name if code in known else code for code in set(codes) if code is not None}
    return _groups(codes, names, errors_km, resamples, seed)


def by_continent(
    codes: Sequence[str | None], errors_km: Float[np.ndarray, " n"], resamples: int = RESAMPLES, seed: int = 0
) -> list[Group]:
    """One group for each continent (geo/continents.py) of the countries ``codes`` [n], most pictures first."""
    continents = [None if code is None else continent_of(code) for code in codes]
    return _groups(continents, CONTINENTS, errors_km, resamples, seed)


def _groups(
    keys: Sequence[str | None], names: dict[str, str], errors_km: np.ndarray, resamples: int, seed: int
) -> list[Group]:
    rows: dict[str | None, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    ordered = sorted(rows, key=lambda key: (-len(rows[key]), key or "~"))
    return [
        Group(
            key,
            AT_SEA if key is None else names[key],
            Report.from_errors(errors_km[rows[key]]),
            Intervals.from_errors(errors_km[rows[key]], resamples, seed),
        )
        for key in ordered
    ]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One system's figures on the pictures of a data set; ``truths`` [n, 2] degrees, ``errors_km`` [n].

    ``left_out`` says which pictures of the data set are not among the n, and ``views`` over which a model averaged.
    """

    system: str
    dataset: str
    truths: Float[np.ndarray, "n 2"]
    errors_km: Float[np.ndarray, " n"]
    report: Report
    intervals: Intervals
    continents: list[Group]
    countries: list[Group]
    calibration: CalibrationReport | None = None
    comparison: Comparison | None = None
    other_errors_km: Float[np.ndarray, " n"] | None = None
    leaderboard: Leaderboard | None = None
    left_out: list[str] = field(default_factory=list)
    views: str = "none"
    resamples: int = RESAMPLES
    seed: int = 0

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before quoting the figures."""
        found = list(self.left_out)
        if self.leaderboard and (warning := self.leaderboard.warning(self.report.n)):
            found.append(warning)
        return found

    def to_object(self) -> dict[str, Any]:
        """Plain JSON values: the fields of Report, and beside them everything else; fractions, km, km2."""
        values: dict[str, Any] = to_mapping(self.report)
        values |= {"system": self.system, "dataset": self.dataset, "views": self.views}
        values["intervals"] = to_mapping(self.intervals)
        values["bootstrap"] = {"level": LEVEL, "resamples": self.resamples, "seed": self.seed}
        values["by_continent"] = [_group(group) for group in self.continents]
        values["by_country"] = [_group(group) for group in self.countries]
        if self.calibration:
            values["calibration"] = to_mapping(self.calibration)
        if self.comparison:
            values["comparison"] = to_mapping(self.comparison)
        if self.leaderboard:
            values["leaderboard"] = {
                "benchmark": self.leaderboard.name,
                "n": self.leaderboard.n,
                "quoted": [
                    {"system": row.system, "year": row.year, "accuracy": row.fractions, "source": row.source}
                    for row in self.leaderboard.rows
                ],
            }
        values["warnings"] = self.warnings
        return values


def evaluate(
    system: str,
    dataset: str,
    truths: Float[np.ndarray, "n 2"],
    places: Float[np.ndarray, "n 2"],
    *,
    outcomes: Outcomes | None = None,
    other: tuple[str, Float[np.ndarray, "n 2"]] | None = None,
    leaderboard: Leaderboard | None = None,
    left_out: Sequence[str] = (),
    views: str = "none",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Measure answers ``places`` against ``truths``, degrees, row by row; ``other`` is a second system's answers.

    Every interval comes from ``resamples`` resamples drawn with ``seed``. Raises InputError for no pictures.
    """
    errors_km = great_circle_km(truths, places)
    report = Report.from_errors(errors_km)
    codes = countries_of(truths)
    evaluation = Evaluation(
        system,
        dataset,
        truths,
        errors_km,
        report,
        Intervals.from_errors(errors_km, resamples, seed),
        by_continent(codes, errors_km, resamples, seed),
        by_country(codes, errors_km, resamples, seed),
        None if outcomes is None else calibration_report(outcomes, resamples, seed),
        leaderboard=leaderboard,
        left_out=list(left_out),
        views=views,
        resamples=resamples,
        seed=seed,
    )
    if other is None:
        return evaluation
    name, elsewhere = other
    other_km = great_circle_km(truths, elsewhere)
    comparison = compare((system, name), errors_km, other_km, resamples, seed)
    return dataclasses.replace(evaluation, comparison=comparison, other_errors_km=other_km)


def _group(group: Group) -> dict[str, Any]:
    return (
        {"code": group.code, "name": group.name} | to_mapping(group.report) | {"intervals": to_mapping(group.intervals)}
    )
