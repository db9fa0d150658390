from __future__ import annotations

import numpy as np
import pytest
import shapely

from earthclip.geo.countries import countries, country_codes, country_outlines


def test_every_country_has_a_valid_outline_of_its_own() -> None:
    outlines = country_outlines()
    assert set(outlines) == set(countries())
    for code, outline in outlines.items():
        west, south, east, north = outline.bounds
        assert outline.is_valid, code
        assert outline.area > 0, code
        assert west >= -180 and east <= 180 and south >= -90 and north <= 90, code
    whole = np.array(list(outlines.values()))
    overlap = sum(outline.area for outline in outlines.values()) - shapely.union_all(whole).area
    assert overlap < 0.2  # square degrees of 20,000: borders simplified beside each other


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ((59.95, 10.75), "NO"),
        ((48.85, 2.35), "FR"),
        ((4.93, -52.33), "GF"),
        ((78.22, 15.65), "SJ"),
        ((45.05, 34.1), "UA"),
        ((42.66, 21.16), "XK"),
        ((9.56, 44.07), "SO"),
        ((35.3, 33.4), "CY"),
        ((24.0, -14.5), "EH"),
        ((22.32, 114.17), "HK"),
        ((41.9035, 12.4534), "VA"),
        ((-90.0, 77.0), "AQ"),
        ((-80.0, -170.0), "AQ"),
        ((66.0, -172.0), "RU"),
        ((-16.8, 180.0), "FJ"),
        ((-16.8, -179.97 + 360), "FJ"),
        ((0.0, -30.0), None),
    ],
)
def test_a_coordinate_lies_in_its_country(place: tuple[float, float], code: str | None) -> None:
    assert country_codes(np.array([place])) == [code]


def test_many_coordinates_at_once_get_the_answers_of_each_alone() -> None:
    places = np.random.default_rng(0).uniform([-60, -180], [75, 180], (300, 2))
    together = country_codes(places)
    assert together == [country_codes(place[None])[0] for place in places]
    assert 0.2 < np.mean([code is not None for code in together]) < 0.5
    assert country_codes(np.empty((0, 2))) == []
