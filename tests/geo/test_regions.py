from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, box

from earthclip.errors import InputError
from earthclip.geo.regions import Region, parse_region, parse_regions, widened
from earthclip.geo.shapes import cut, globe_polygon
from earthclip.geo.sphere import EARTH_RADIUS_KM, destination, great_circle_km

LATITUDES = st.one_of(st.floats(-90, 90), st.sampled_from([90.0, -90.0, 0.0, 89.99, -89.999]))
LONGITUDES = st.one_of(st.floats(-180, 180), st.sampled_from([180.0, -180.0, 0.0, 179.999]))


def inside(text: str, *places: tuple[float, float]) -> list[bool]:
    return list(map(bool, parse_region(text).contains(np.array(places, dtype=np.float64))))


def on_the_plate(geometry: MultiPolygon) -> bool:
    west, south, east, north = geometry.bounds
    return bool(geometry.is_valid and west >= -180 and east <= 180 and south >= -90 and north <= 90)


@settings(max_examples=60, deadline=None)
@given(LATITUDES, LONGITUDES, st.floats(-1, 4.3), st.integers(0, 2**32 - 1))
def test_a_circle_holds_what_is_within_its_radius(lat: float, lon: float, power: float, seed: int) -> None:
    radius_km = 10**power
    region = parse_region(f"{lat!r},{lon!r},{radius_km!r}")
    assert on_the_plate(region.geometry)
    random = np.random.default_rng(seed)
    share = np.concatenate([random.uniform(0, 0.997, 50), random.uniform(1.003, 1.5, 50)])
    centre = np.tile([[lat, lon]], (100, 1))
    places = destination(centre, random.uniform(0, 360, 100), share * radius_km)
    expected = great_circle_km(places, centre) <= radius_km  # 1.5 radii may lead round the Earth and back in
    slack = min(radius_km, np.pi * EARTH_RADIUS_KM - radius_km) * 0.002
    clear = np.abs(great_circle_km(places, centre) - radius_km) > slack
    np.testing.assert_array_equal(region.contains(places)[clear], expected[clear])


@settings(max_examples=100, deadline=None)
@given(st.floats(-90, 89), st.floats(0.1, 90), LONGITUDES, st.floats(0.1, 359), st.integers(0, 2**32 - 1))
def test_a_box_holds_what_lies_between_its_sides(
    south: float, height: float, west: float, width: float, seed: int
) -> None:
    north, east = min(south + height, 90.0), west + width
    east = east if east <= 180 else east - 360
    region = parse_region(f"{south!r},{west!r},{north!r},{east!r}")
    assert on_the_plate(region.geometry)
    random = np.random.default_rng(seed)
    places = np.stack([random.uniform(-89.9, 89.9, 200), random.uniform(-180, 180, 200)], axis=1)
    eastward = np.mod(places[:, 1] - west, 360.0)
    span = np.mod(east - west, 360.0)
    clear = (np.abs(eastward - span) > 1e-9) & (np.abs(eastward) > 1e-9) & (span > 1e-9)
    expected = (places[:, 0] >= south) & (places[:, 0] <= north) & (eastward <= span)
    np.testing.assert_array_equal(region.contains(places)[clear], expected[clear])


def test_longitudes_count_in_any_turn() -> None:
    places = np.array([[-17.8, 178.0], [-16.8, -179.95], [59.9, 10.75], [0.0, 180.0]])
    for text in ("Fiji", "-20,170,20,-170", "0,180,500", "Norway"):
        region = parse_region(text)
        for turn in (-720.0, -360.0, 360.0):
            np.testing.assert_array_equal(region.contains(places + np.array([0.0, turn])), region.contains(places))


@pytest.mark.parametrize("text", ["-10,170,10,180", "-10,-180,10,-170", "-10,170,10,-170"])
def test_the_antimeridian_is_one_line_from_both_sides(text: str) -> None:
    assert inside(text, (0, 180), (0, -180), (0, 540), (0, 0)) == [True, True, True, False]


def test_poles_are_one_point_of_any_longitude() -> None:
    assert inside("80,0,90,10", (90, 5), (90, -120), (85, -120), (85, 5)) == [True, True, False, True]
    assert inside("89.5,20,100", (90, 0), (90, 77), (-90, 0), (89.7, -160)) == [True, True, False, True]
    assert inside("-90,0,100", (-90, 5), (-89.5, -170), (-88, 0)) == [True, True, False]


@pytest.mark.parametrize(
    ("country", "places", "expected"),
    [
        ("Fiji", [(-18.14, 178.44), (-16.8, -179.97), (-16.8, 180.0), (-18.0, -178.0 - 360), (-21.2, -175.2)], "11100"),
        ("Russia", [(55.75, 37.62), (66.0, -172.0), (71.2, -179.5), (54.7, 20.5), (64.5, -165.4)], "11110"),
        ("Antarctica", [(-90, 0), (-90, 133), (-77.85, 166.7), (-80, 180), (-79, -50), (-54.8, -68.3)], "111110"),
        ("USA", [(21.3, -157.86), (61.2, -149.9), (52.9, 172.9), (25.76, -80.19), (43.65, -79.38)], "11110"),
        ("New Zealand", [(-41.29, 174.78), (-43.95, -176.55), (-36.85, 174.76), (-33.87, 151.2)], "1110"),
        ("France", [(48.85, 2.35), (4.93, -52.33), (-20.88, 55.45), (50.85, 4.35)], "1110"),
        ("french guiana", [(4.93, -52.33), (48.85, 2.35)], "10"),
        ("Kiribati", [(1.87, -157.4), (1.33, 172.98), (0.0, 0.0)], "110"),
        ("VA", [(41.903, 12.453), (42.5, 12.45)], "10"),
    ],
)
def test_countries_hold_their_places(country: str, places: list[tuple[float, float]], expected: str) -> None:
    assert inside(country, *places) == [digit == "1" for digit in expected]


def test_a_country_reaches_five_kilometres_beyond_its_shore() -> None:
    region = parse_region("Nauru")
    centre = np.array([[-0.5275, 166.9325]])
    bearings = np.arange(0.0, 360.0, 15.0)
    for km, expected in ((7.0, True), (9.5, False)):  # the island's radius is 2.0 to 3.1 km
        around = destination(np.repeat(centre, len(bearings), axis=0), bearings, np.full(len(bearings), km))
        assert region.contains(around).mean() == pytest.approx(float(expected), abs=0.15)


@pytest.mark.parametrize("latitude", [0.0, 45.0, -69.0, 80.0])
def test_widening_is_in_kilometres_at_any_latitude(latitude: float) -> None:
    south, north = latitude, latitude + 2
    wide = Region("wide", widened(MultiPolygon([box(179.0, south, 180.0, north)]), 20.0))
    middle = latitude + 1
    degrees = np.degrees(20.0 / EARTH_RADIUS_KM)
    across = degrees / np.cos(np.radians(middle))
    tolerance = 0.3 if latitude > 75 else 0.12
    for factor, expected in ((1 - tolerance, True), (1 + tolerance, False)):
        edge = [[middle, 179.0 - factor * across], [middle, 180.0 + factor * across], [north + factor * degrees, 179.5]]
        assert wide.contains(np.array(edge)).tolist() == [expected] * 3


def test_several_regions_are_their_union() -> None:
    region = parse_regions(["Norway", "Sweden", "-17.8,178,50"])
    assert region.name == "Norway or Sweden or within 50 km of -17.8, 178"
    assert region.contains(np.array([[59.9, 10.75], [59.33, 18.07], [-17.8, 178.1], [55.7, 12.6]])).tolist() == [
        True,
        True,
        True,
        False,
    ]
    with pytest.raises(InputError, match="no region given"):
        parse_regions([])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "region is empty"),
        ("91,0,10", r"latitude 91, longitude 0: .* are latitude and longitude swapped\? \(a circle is latitude,"),
        ("139.7,35.7,10", "swapped"),
        ("95,170,10", r"latitudes must lie in \[-90, 90\]"),
        ("10,400,10", r"longitudes must lie in \[-180, 180\) or \[0, 360\)"),
        ("10,20,0", "radius must lie between"),
        ("10,20,-5", "radius must lie between"),
        ("10,20,30000", "radius must lie between"),
        ("10,20", "needs a radius in km"),
        ("10,20,30,40,50", "not understood"),
        ("10;20;30", "not understood"),
        ("1,2,3,4km", "not understood"),
        ("20,0,10,30", "south must lie below north"),
        ("10,20,30,20", "no width"),
        ("-91,0,10,10", r"latitudes must lie in \[-90, 90\]; .* \(a box is south,"),
        ("nan,0,10", "is not a place"),
        ("5", "not understood"),
        ("Norwey", "did you mean Norway"),
        ("nowhere.geojson", "no such file"),
        ("{", "not valid JSON"),
    ],
)
def test_nonsense_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_region(text)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_region_or_an_input_error(text: str) -> None:
    try:
        region = parse_region(text, files=False)
    except InputError as error:
        assert "\n" not in str(error).replace(text, "")
    else:
        assert on_the_plate(region.geometry)


def test_coordinates_that_are_no_places_are_refused() -> None:
    region = parse_region("Norway")
    for bad in ([[np.nan, 0.0]], [[91.0, 0.0]], [[0.0, np.inf]]):
        with pytest.raises(InputError, match="row 0"):
            region.contains(np.array(bad))
    assert region.contains(np.empty((0, 2))).shape == (0,)


def test_an_empty_area_is_no_region() -> None:
    with pytest.raises(InputError, match="is empty"):
        Region("nothing", MultiPolygon())


def test_a_region_travels_to_other_processes_and_threads() -> None:
    region = parse_region("Japan")
    places = np.random.default_rng(0).uniform([30, 128], [46, 147], (5000, 2))
    expected = region.contains(places)
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(region)).contains(places), expected)
    with ThreadPoolExecutor(8) as pool:
        fresh = Region("again", region.geometry)
        for answer in pool.map(fresh.contains, [places] * 16):
            np.testing.assert_array_equal(answer, expected)


def test_rings_take_the_shorter_way_round() -> None:
    crossing = globe_polygon(np.array([[179.0, 0.0], [-179.0, 0.0], [-179.0, 1.0], [179.0, 1.0]]))
    assert crossing.area == pytest.approx(2.0)
    assert crossing.bounds == (-180.0, 0.0, 180.0, 1.0)
    around = globe_polygon(np.array([[lon, -70.0] for lon in range(-180, 180, 30)]))
    assert around.area == pytest.approx(360.0 * 20.0)
    assert cut(box(-200.0, -10.0, 200.0, 10.0)).area == pytest.approx(360.0 * 20.0)
    with pytest.raises(InputError, match="three different points"):
        globe_polygon(np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
