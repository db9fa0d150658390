"""Tables whose latitudes and longitudes have changed places, as those of a circulating copy of Im2GPS3k have.

An early revision of TIBHannover/GeoEstimation's meta/im2gps3k_places365.csv calls its latitudes LON and its longitudes
LAT. A third of its rows then lie beyond the poles, and who leaves those out trains on the rest in wrong places.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from earthclip.geo.countries import country_codes
from earthclip.geo.degrees import are_places

_BEYOND = 0.02  # share of rows that lie on Earth only when swapped; typing errors are rarer
_ENOUGH = 20  # places, for shares on land to mean something
_SAMPLE = 2_000
_ON_LAND, _AT_SEA = 0.8, 0.4  # shares on land: what photos have at least, and what is too little for them


def swapped_columns(coordinates: Float64[np.ndarray, "n 2"]) -> str | None:
    """Why latitude and longitude of the whole table must have been swapped, as half a sentence; None when not.

    ``coordinates`` are as the table has them, in degrees and all finite. Told by latitudes beyond 90 where no
    longitude is beyond it, or else by land: photos lie on it as a rule, and these do only when swapped. Of a table of
    a region where both are land, nothing can be told.
    """
    if not len(coordinates):
        return None
    other = coordinates[:, ::-1]
    only_swapped = are_places(np.ascontiguousarray(other)) & ~are_places(coordinates)
    only_as_given = are_places(coordinates) & ~are_places(np.ascontiguousarray(other))
    if only_swapped.mean() >= _BEYOND and not only_as_given.any():
        found = f"{int(only_swapped.sum()):,} of {len(coordinates):,} latitudes are beyond 90, no longitude is"
        return f"latitude and longitude are swapped ({found})"
    if only_as_given.any() or only_swapped.any():
        return None
    places = np.unique(coordinates[are_places(coordinates)], axis=0)
    if len(places) < _ENOUGH:
        return None
    sample = places[np.linspace(0, len(places) - 1, min(len(places), _SAMPLE)).astype(np.int64)]
    given, turned = (_share_on_land(places) for places in (sample, np.ascontiguousarray(sample[:, ::-1])))
    if turned >= _ON_LAND and given <= _AT_SEA:
        found = f"{100 * given:.0f} % of the places are on land, {100 * turned:.0f} % when swapped"
        return f"latitude and longitude look swapped ({found})"
    return None


def _share_on_land(coordinates: Float64[np.ndarray, "n 2"]) -> float:
    codes = country_codes(coordinates)
    return sum(code is not None for code in codes) / len(codes)
