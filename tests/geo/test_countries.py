from __future__ import annotations

import numpy as np
import pytest
import shapely

from earthclip.errors import InputError
from earthclip.geo.countries import countries, country_codes, country_outlines, find_country


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Norway", "NO"),
        (" norway ", "NO"),
        ("no", "NO"),
        ("NOR", "NO"),
        ("USA", "US"),
        ("U.S.A.", "US"),
        ("the United States", "US"),
        ("United States of America", "US"),
        ("UK", "GB"),
        ("Great Britain", "GB"),
        ("South Korea", "KR"),
        ("korea, republic of", "KR"),
        ("Czech Republic", "CZ"),
        ("cote d\u2019ivoire", "CI"),
        ("Côte d'Ivoire", "CI"),
        ("TURKIYE", "TR"),
        ("Türkiye", "TR"),
        ("Reunion", "RE"),
        ("Åland", "AX"),
        ("St. Lucia", "LC"),
        ("Trinidad & Tobago", "TT"),
        ("Bosnia", "BA"),
        ("DRC", "CD"),
        ("Holland", "NL"),
        ("Burma", "MM"),
        ("Swaziland", "SZ"),
        ("Macedonia", "MK"),
        ("Viet Nam", "VN"),
        ("Cape Verde", "CV"),
        ("Guinea-Bissau", "GW"),
        ("guinea bissau", "GW"),
        ("Guinea", "GN"),
        ("Niger", "NE"),
        ("Kosovo", "XK"),
        ("Vatican", "VA"),
        ("Georgia", "GE"),
    ],
)
def test_countries_go_by_many_names(text: str, code: str) -> None:
    assert find_country(text).code == code


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Norwey", "did you mean Norway"),
        ("Germny", "did you mean Germany"),
        ("xyzzy", "give its English name or ISO code"),
        ("", "unknown country ''"),
        ("日本", "unknown country '日本'"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_country(text)


def test_names_and_codes_lead_to_one_country_each() -> None:
    assert len(countries()) == 250  # ISO 3166-1 and Kosovo
    for code, country in countries().items():
        for name in (code, country.alpha3, country.name):
            assert find_country(name).code == code
        assert all(part in countries() for part in country.parts)


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
