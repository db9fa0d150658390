"""Everything that is measured of one system on one set of pictures, and of a second one beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from earthclip.configuration import to_mapping
from earthclip.evaluation.breakdown import Group, by_continent, by_country, countries_of
from earthclip.evaluation.comparison import Comparison, compare
from earthclip.evaluation.leaderboard import Leaderboard
from earthclip.evaluation.promises import CalibrationReport, Promises, calibration_report
from earthclip.geo.geodesy import great_circle_km
from earthclip.metrics import LEVEL, RESAMPLES, Intervals, Report


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
    promises: Promises | None = None,
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
        None if promises is None else calibration_report(promises, errors_km, resamples, seed),
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
