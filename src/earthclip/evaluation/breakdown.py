"""Figures by country and by continent: where a system is good, and on how many pictures that rests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earthclip.geo.continents import CONTINENTS, continent_of
from earthclip.geo.countries import countries, country_codes
from earthclip.geo.places import describe
from earthclip.metrics import RESAMPLES, Intervals, Report

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
