"""Everything measured of one set of answers, in all and by country and continent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from earthclip.configuration import to_mapping
from earthclip.evaluation.comparison import Comparison, compare
from earthclip.evaluation.grouping import Grouping
from earthclip.evaluation.leaderboard import Leaderboard
from earthclip.evaluation.outcomes import CalibrationReport, Outcomes, calibration_report
from earthclip.geo.countries import CONTINENTS, continent_of, countries, country_codes
from earthclip.geo.places import describe
from earthclip.geo.sphere import great_circle_km
from earthclip.metrics import LEVEL, RESAMPLES, Intervals, Report

AT_SEA = "at sea"


@dataclass(frozen=True)
class Group:
    """The figures of the pictures of one country or continent; ``code`` is None for those at sea.

    ``groups`` says of how many groups, such as authors, they are, None where that is not known. From two on the
    intervals are by whole groups.
    """

    code: str | None
    name: str
    report: Report
    intervals: Intervals
    groups: int | None = None


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
    codes: Sequence[str | None],
    errors_km: Float[np.ndarray, " n"],
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> list[Group]:
    """One group for each country among ``codes`` [n], those with most pictures first."""
    known = countries()
    names = {code: known[code].name if code in known else code for code in set(codes) if code is not None}
    return _groups(codes, names, errors_km, resamples, seed, groups)


def by_continent(
    codes: Sequence[str | None],
    errors_km: Float[np.ndarray, " n"],
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> list[Group]:
    """One group for each continent (geo/continents.py) of the countries ``codes`` [n], most pictures first."""
    continents = [None if code is None else continent_of(code) for code in codes]
    return _groups(continents, CONTINENTS, errors_km, resamples, seed, groups)


def _groups(
    keys: Sequence[str | None],
    names: dict[str, str],
    errors_km: np.ndarray,
    resamples: int,
    seed: int,
    groups: np.ndarray | None,
) -> list[Group]:
    rows: dict[str | None, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    found = []
    for key in sorted(rows, key=lambda key: (-len(rows[key]), key or "~")):
        distances = errors_km[rows[key]]
        within = None if groups is None else np.unique(groups[rows[key]], return_inverse=True)[1]
        count = None if within is None else int(within.max()) + 1
        intervals = Intervals.from_errors(distances, resamples, seed, within if (count or 0) > 1 else None)
        name = AT_SEA if key is None else names[key]
        found.append(Group(key, name, Report.from_errors(distances), intervals, count))
    return found


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One system's figures on the pictures of a data set; ``truths`` [n, 2] degrees, ``errors_km`` [n].

    ``left_out`` says which pictures of the data set are not among the n, and ``views`` over which a model averaged.
    ``intervals`` take the pictures as independent, ``grouped_intervals`` draw the whole groups of ``grouping``. All
    other intervals are by groups where groups are known.
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
    grouping: Grouping | None = None
    grouped_intervals: Intervals | None = None

    @property
    def intervals_to_quote(self) -> Intervals:
        """Those by groups where groups are known, else those of independent pictures."""
        return self.grouped_intervals or self.intervals

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
        if self.grouping and self.grouped_intervals:
            values["grouped"] = {
                "column": self.grouping.column,
                "groups": self.grouping.count,
                "largest": self.grouping.largest,
                "intervals": to_mapping(self.grouped_intervals),
            }
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
                "n": self.leaderboard.pictures,
                "quoted": [
                    {"system": row.system, "year": row.year, "accuracy": row.fractions, "source": row.source}
                    | ({} if row.geoscore is None else {"geoscore": row.geoscore})
                    | ({"note": row.note} if row.note else {})
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
    grouping: Grouping | None = None,
    left_out: Sequence[str] = (),
    views: str = "none",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Measure answers ``places`` against ``truths``, degrees, row by row; ``other`` is a second system's answers.

    Every interval comes from ``resamples`` resamples drawn with ``seed``, by the groups of ``grouping`` where it is
    given. Raises InputError for no pictures.
    """
    groups = None if grouping is None else grouping.numbers
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
        by_continent(codes, errors_km, resamples, seed, groups),
        by_country(codes, errors_km, resamples, seed, groups),
        None if outcomes is None else calibration_report(outcomes, resamples, seed, groups),
        leaderboard=leaderboard,
        left_out=list(left_out),
        views=views,
        resamples=resamples,
        seed=seed,
        grouping=grouping,
        grouped_intervals=None if groups is None else Intervals.from_errors(errors_km, resamples, seed, groups),
    )
    if other is None:
        return evaluation
    name, elsewhere = other
    other_km = great_circle_km(truths, elsewhere)
    comparison = compare((system, name), errors_km, other_km, resamples, seed, groups)
    return dataclasses.replace(evaluation, comparison=comparison, other_errors_km=other_km)


def _group(group: Group) -> dict[str, Any]:
    groups = {} if group.groups is None else {"groups": group.groups}
    intervals = {"intervals": to_mapping(group.intervals)}
    return {"code": group.code, "name": group.name} | to_mapping(group.report) | groups | intervals
