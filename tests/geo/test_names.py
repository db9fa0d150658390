"""Areas by name: countries by any of their names, their parts and continents; what is answered to other names."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from earthclip.errors import InputError
from earthclip.geo.countries import countries, country_outlines
from earthclip.geo.names import find_area
from earthclip.geo.places import division_names
from earthclip.geo.regions import parse_region


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
        ("Democratic Republic of Congo", "CD"),
        ("Ivory Coast", "CI"),
        ("French Guiana", "GF"),
        ("Deutschland", "DE"),
        ("suomi", "FI"),
        ("Österreich", "AT"),
        ("日本", "JP"),
        ("AND", "AD"),
        ("and", "AD"),
    ],
)
def test_countries_go_by_many_names(text: str, code: str) -> None:
    area = find_area(text)
    assert area.codes[0] == code and area.division is None


@pytest.mark.parametrize(
    ("text", "name", "inside", "outside"),
    [
        ("Svalbard", "Svalbard, Svalbard and Jan Mayen", [78.2, 15.6], [70.9, -8.7]),
        ("jan mayen", "Jan Mayen, Svalbard and Jan Mayen", [70.95, -8.6], [78.2, 15.6]),
        ("Réunion", "Réunion", [-21.1, 55.5], [48.9, 2.4]),
        ("hawaii", "Hawaii, United States", [19.6, -155.5], [37.8, -122.4]),
        ("Alaska", "Alaska, United States", [51.9, 179.6], [49.0, -122.0]),  # across the antimeridian
        ("Chukotka", "Chukotka, Russia", [66.0, -171.0], [66.0, 100.0]),
        ("Scotland", "Scotland, United Kingdom", [57.5, -4.2], [52.2, 0.1]),
        ("Georgia, US", "Georgia, United States", [33.7, -84.4], [41.7, 44.8]),
        ("punjab pakistan", "Punjab, Pakistan", [31.5, 74.3], [30.9, 75.9]),
        ("Sicily", "Sicily, Italy", [37.5, 14.0], [39.0, 16.4]),
        ("Europe", "Europe", [48.9, 2.4], [38.9, -77.0]),
        ("south america", "South America", [4.9, -52.3], [18.4, -66.1]),
        ("Antarctica", "Antarctica", [-80.0, 0.0], [-50.0, 0.0]),
    ],
)
def test_parts_and_continents(text: str, name: str, inside: list[float], outside: list[float]) -> None:
    region = parse_region(text)
    assert region.name == name
    assert region.contains(np.array([inside, outside])).tolist() == [True, False]


@pytest.mark.parametrize("code", ["SJ", "CH", "GB", "FJ"])
def test_parts_are_the_whole_country_and_do_not_overlap(code: str) -> None:
    divisions = sorted({division for country, division in division_names() if country == code})
    parts = [find_area(f"{division}, {code}").outline() for division in divisions]
    country = country_outlines()[code].area
    assert sum(part.area for part in parts) == pytest.approx(shapely.union_all(parts).area, rel=1e-6)
    assert sum(part.area for part in parts) == pytest.approx(country, rel=0.01)  # some towns lie in no division


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Norwey", r"unknown region 'Norwey'; did you mean Norway\?"),
        ("Germny", r"did you mean Germany\?"),
        ("Faroe", "did you mean Faroe Islands or "),
        ("Kashmir", "did you mean Azad Kashmir, Pakistan or Jammu and Kashmir, India"),
        ("paris", r"did you mean '48\.85,2\.35,25' \(within 25 km of the town in France\)\?"),
        ("leningradskiy", "within 25 km of the town in Russia"),  # the last of the list
        ("bogota", r"'4\.61,-74\.08,25' \(within 25 km of the town in Colombia\)"),
        ("Punjab", "'Punjab' is a part of 2 countries; write 'Punjab, India' or 'Punjab, Pakistan'"),
        ("Narnia", "unknown region 'Narnia'; give the English name"),
        ("xyzzy", "give the English name of a country or of a part of one, or an ISO code"),
        ("", "unknown region ''"),
        ("北", "unknown region '北'"),
    ],
)
def test_unknown_names_are_answered_with_what_is_like_them(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_area(text)


def test_names_and_codes_lead_to_one_country_each() -> None:
    assert len(countries()) == 250  # ISO 3166-1 and Kosovo
    for code, country in countries().items():
        for name in (code, country.alpha3, country.name):
            assert find_area(name).codes[0] == code
        assert all(part in countries() for part in country.parts)
