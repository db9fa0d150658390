from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.errors import InputError
from earthclip.geo.nearest import NearestTown
from earthclip.geo.oceans import ocean_names
from earthclip.geo.places import _gazetteer, describe
from earthclip.geo.sphere import from_unit_vectors, great_circle_km, pairwise_km


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((-15.84, -70.02), "in Puno, Peru"),
        ((-15.86, -69.95), "near Puno, Peru"),  # a hamlet on the lake is nearer
        ((59.9139, 10.7522), "in Oslo, Norway"),
        ((40.75, -73.98), "in New York City, United States"),
        ((43.66, -70.26), "in Portland, Maine, United States"),
        ((45.52, -122.67), "in Portland, Oregon, United States"),
        ((41.9035, 12.4534), "in Vatican City"),
        ((22.30, 114.17), "in Hong Kong"),
        ((25.0, 10.0), "in Algeria, 72 km from Djanet"),
        ((-90.0, 0.0), "in Antarctica"),
        ((57.0, 2.0), "in the North Sea, 248 km from Aberdeen, United Kingdom"),
        ((-30.0, -115.0), "in the South Pacific Ocean, 630 km from Hanga Roa, Chile"),
    ],
)
def test_places_read_as_people_say_them(place: tuple[float, float], text: str) -> None:
    (found,) = describe(np.array([place]))
    assert str(found) == found.text == text


def test_a_place_has_its_division_country_and_distance() -> None:
    (puno,) = describe(np.array([[-15.84, -70.02]]))
    assert (puno.name, puno.admin, puno.country, puno.country_code) == ("Puno", "Puno", "Peru", "PE")
    assert puno.distance_km == pytest.approx(0.2, abs=0.2)
    (sea,) = describe(np.array([[0.0, -30.0]]))
    assert (sea.admin, sea.country, sea.country_code) == (None, None, None)


@pytest.mark.parametrize(
    ("place", "code", "name"),
    [
        ((49.62, 0.1), "FR", "Le Havre"),  # 13 km off the coast
        ((47.55, 7.59), "CH", "Basel"),  # the borders of three countries
        ((-16.2, -69.05), "BO", None),  # Lake Titicaca's eastern shore: nothing in Peru
        ((43.735, 7.42), "MC", None),
        ((66.0, -172.0), "RU", None),
        ((-16.8, 180.0), "FJ", None),
    ],
)
def test_the_town_lies_in_the_country_of_the_place(place: tuple[float, float], code: str, name: str | None) -> None:
    (found,) = describe(np.array([place]))
    assert found.country_code == code
    assert name is None or found.name == name
    assert found.country is not None and (found.country in found.text)


@settings(max_examples=80, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180))
def test_every_coordinate_on_earth_has_words(latitude: float, longitude: float) -> None:
    (found,) = describe(np.array([[latitude, longitude]]))
    assert found.text.startswith(("in ", "near "))
    assert 0 <= found.distance_km < 6000
    assert found.name


def test_many_coordinates_at_once_get_the_answers_of_each_alone() -> None:
    places = np.random.default_rng(1).uniform([-60, -180], [75, 180], (100, 2))
    assert describe(places) == [describe(place[None])[0] for place in places]
    assert describe(np.empty((0, 2))) == []
    with ThreadPoolExecutor(8) as pool:
        assert all(answer == describe(places[:20]) for answer in pool.map(describe, [places[:20]] * 16))


def test_what_is_no_place_is_refused() -> None:
    with pytest.raises(InputError, match="latitude"):
        describe(np.array([[91.0, 0.0]]))
    with pytest.raises(InputError, match="not a place"):
        describe(np.array([[np.nan, 0.0]]))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.3, 5.0]))
def test_the_nearest_town_is_the_nearest(count: int, seed: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    towns = from_unit_vectors(random.normal(size=3) + spread * random.normal(size=(count, 3)))
    asked = np.concatenate([from_unit_vectors(random.normal(size=(50, 3))), towns[:5], [[90.0, 0.0], [-90.0, 0.0]]])
    rows, distances_km = NearestTown(towns).query(asked)
    np.testing.assert_allclose(distances_km, pairwise_km(asked, towns).min(axis=1), atol=1e-6)
    np.testing.assert_allclose(distances_km, great_circle_km(asked, towns[rows]), atol=1e-6)


def test_nearest_towns_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    index = NearestTown(from_unit_vectors(random.normal(size=(3000, 3)) + np.array([2.0, 0.0, 0.0])))
    asked = from_unit_vectors(random.normal(size=(500, 3)) + np.array([1.0, 0.0, 0.0]))
    rows, distances_km = index.query(asked)
    monkeypatch.setattr("earthclip.geo.nearest._PAIRS", 300)
    again, again_km = index.query(asked)
    np.testing.assert_array_equal(again, rows)
    np.testing.assert_array_equal(again_km, distances_km)
    assert index.query(np.empty((0, 2)))[0].shape == (0,)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ((40.0, -40.0), "North Atlantic Ocean"),
        ((-30.0, -10.0), "South Atlantic Ocean"),
        ((-30.0, 80.0), "Indian Ocean"),
        ((-10.0, 100.0), "Indian Ocean"),
        ((30.0, -150.0), "North Pacific Ocean"),
        ((30.0, 170.0), "North Pacific Ocean"),
        ((-40.0, -120.0), "South Pacific Ocean"),
        ((-40.0, -75.0), "South Pacific Ocean"),
        ((-40.0, -55.0), "South Atlantic Ocean"),
        ((10.0, -90.0), "North Pacific Ocean"),
        ((7.0, -80.0), "North Pacific Ocean"),
        ((12.0, -75.0), "Caribbean Sea"),
        ((25.0, -90.0), "Gulf of Mexico"),
        ((30.0, -75.0), "North Atlantic Ocean"),
        ((40.0, 6.0), "Mediterranean Sea"),
        ((34.0, 20.0), "Mediterranean Sea"),
        ((43.0, 34.0), "Black Sea"),
        ((57.0, 19.0), "Baltic Sea"),
        ((56.0, 3.0), "North Sea"),
        ((60.0, 180.0 - 360.0), "Bering Sea"),
        ((15.0, 88.0), "Bay of Bengal"),
        ((15.0, 65.0), "Arabian Sea"),
        ((15.0, 115.0), "South China Sea"),
        ((-38.0, 160.0), "Tasman Sea"),
        ((85.0, 0.0), "Arctic Ocean"),
        ((-62.0, 100.0), "Southern Ocean"),
    ],
)
def test_seas_and_oceans_have_their_names(place: tuple[float, float], name: str) -> None:
    assert ocean_names(np.array([place])) == [name]


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ((47.6633, 9.1753), "DE"),  # Konstanz
        ((51.1550, 14.9885), "DE"),  # Görlitz
        ((59.3772, 28.1903), "EE"),  # Narva
        ((-4.2153, -69.9406), "CO"),  # Leticia
        ((48.4570, 13.4316), "AT"),  # Schärding
        ((43.7425, 7.4236), "FR"),  # Beausoleil
        ((47.6967, 8.6897), "DE"),  # Büsingen
        ((45.9703, 8.9710), "IT"),  # Campione
        ((31.7587, -106.4869), "US"),  # El Paso
        ((-1.6740, 29.2280), "CD"),  # Goma
    ],
)
def test_a_town_at_the_border_has_its_own_country(place, code):
    assert describe(np.array([place]))[0].country_code == code


def test_every_town_has_its_own_country_at_its_centre():
    towns = _gazetteer()
    rows = np.arange(0, len(towns._coordinates), 64)
    found = [place.country_code for place in describe(towns._coordinates[rows])]
    assert found == [towns.country_code(row) for row in rows.tolist()]
