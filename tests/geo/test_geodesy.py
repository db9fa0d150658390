from __future__ import annotations

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.errors import InputError
from earthclip.geo.sphere import (
    EARTH_RADIUS_KM,
    are_places,
    check_coordinates,
    degrees_fault,
    destination,
    from_unit_vectors,
    great_circle_km,
    pairwise_km,
    unit_vectors,
    wrap_longitude,
)

HALF_TURN_KM = np.pi * EARTH_RADIUS_KM
places = st.tuples(st.floats(-90, 90), st.floats(-180, 180, exclude_max=True)).map(np.array)
modest = settings(max_examples=60, deadline=None)


def random_places(n: int, seed: int = 0) -> np.ndarray:
    return from_unit_vectors(np.random.default_rng(seed).normal(size=(n, 3)))


def test_distances_agree_with_proj_on_the_same_sphere() -> None:
    a, b = random_places(500, 1), random_places(500, 2)
    sphere = pyproj.Geod(a=EARTH_RADIUS_KM * 1000, b=EARTH_RADIUS_KM * 1000)
    _, _, metres = sphere.inv(a[:, 1], a[:, 0], b[:, 1], b[:, 0])
    np.testing.assert_allclose(great_circle_km(a, b), np.array(metres) / 1000, rtol=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "km"),
    [
        ((0.0, 0.0), (0.0, 180.0), HALF_TURN_KM),
        ((90.0, 12.0), (-90.0, 77.0), HALF_TURN_KM),
        ((52.2, 13.4), (-52.2, -166.6), HALF_TURN_KM),
        ((90.0, 0.0), (90.0, 123.0), 0.0),
        ((0.0, 179.5), (0.0, -179.5), HALF_TURN_KM / 180),
        ((90.0, 0.0), (0.0, -77.3), HALF_TURN_KM / 2),
    ],
)
def test_known_distances(a: tuple[float, float], b: tuple[float, float], km: float) -> None:
    assert great_circle_km(np.array(a), np.array(b)) == pytest.approx(km, abs=1e-6)


@pytest.mark.parametrize("latitude", [0.0, 47.0, 89.9])
@pytest.mark.parametrize("metres", [1e-3, 1.0, 1000.0])
def test_metres_and_near_antipodes_keep_their_precision(latitude: float, metres: float) -> None:
    degrees = np.degrees(metres / 1000 / EARTH_RADIUS_KM)
    start = np.array([latitude, 30.0])
    north = np.array([latitude + degrees, 30.0])
    antipode = np.array([-latitude, -150.0])
    assert great_circle_km(start, north) * 1000 == pytest.approx(metres, abs=1e-8, rel=1e-6)
    assert (HALF_TURN_KM - great_circle_km(antipode, north)) * 1000 == pytest.approx(metres, abs=1e-5)


@modest
@given(places, places, places)
def test_distance_is_a_metric(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    ab, ba = great_circle_km(a, b), great_circle_km(b, a)
    assert ab == pytest.approx(ba, abs=1e-9)
    assert 0 <= ab <= HALF_TURN_KM + 1e-9
    assert great_circle_km(a, a) == 0
    assert ab <= great_circle_km(a, c) + great_circle_km(c, b) + 1e-6


def test_distances_broadcast_and_pair_up() -> None:
    a, b = random_places(4, 3), random_places(7, 4)
    table = pairwise_km(a, b)
    assert table.shape == (4, 7)
    np.testing.assert_array_equal(table[2], great_circle_km(a[2], b))
    assert great_circle_km(a[0], b[0]).shape == ()
    assert pairwise_km(a, np.empty((0, 2))).shape == (4, 0)


def test_whole_numbers_are_degrees_too() -> None:
    assert great_circle_km(np.array([0, 0]), np.array([0, 90])) == pytest.approx(HALF_TURN_KM / 2)


@modest
@given(places, st.floats(0, 360), st.floats(0, HALF_TURN_KM))
def test_destination_is_as_far_as_asked_and_in_range(start: np.ndarray, bearing: float, km: float) -> None:
    end = destination(start[None], np.array([bearing]), np.array([km]))
    assert end.shape == (1, 2)
    assert abs(end[0, 0]) <= 90
    assert -180 <= end[0, 1] < 180
    assert great_circle_km(start, end[0]) == pytest.approx(km, abs=1e-6)


def test_destination_agrees_with_proj() -> None:
    start = random_places(200, 5)
    bearing, km = np.linspace(0, 360, 200), np.linspace(1, 19_000, 200)
    sphere = pyproj.Geod(a=EARTH_RADIUS_KM * 1000, b=EARTH_RADIUS_KM * 1000)
    longitude, latitude, _ = sphere.fwd(start[:, 1], start[:, 0], bearing, km * 1000)
    expected = np.stack([latitude, longitude], axis=1)
    assert great_circle_km(destination(start, bearing, km), expected).max() < 1e-5


def test_destinations_over_the_pole_the_seam_and_from_the_pole() -> None:
    degree_km = HALF_TURN_KM / 180
    start = np.array([[80.0, 20.0], [0.0, 179.5], [90.0, 25.0]])
    end = destination(start, np.array([0.0, 90.0, 180.0]), np.array([20.0, 1.0, 10.0]) * degree_km)
    np.testing.assert_allclose(end, [[80.0, -160.0], [0.0, -179.5], [80.0, 25.0]], atol=1e-9)


@modest
@given(st.floats(-1e6, 1e6))
def test_wrapping_keeps_the_meridian_and_reaches_the_range(degrees: float) -> None:
    wrapped = wrap_longitude(np.array([degrees]))
    assert -180 <= wrapped[0] < 180
    turns = (degrees - wrapped[0]) / 360
    assert turns == pytest.approx(round(turns), abs=1e-9)
    np.testing.assert_array_equal(wrap_longitude(wrapped), wrapped)


def test_wrapping_at_the_edges() -> None:
    given_degrees = np.array([180.0, -180.0, 540.0, 359.0, np.nextafter(-180.0, -200), 0.1])
    wrapped = wrap_longitude(given_degrees)
    np.testing.assert_allclose(wrapped[:4], [-180.0, -180.0, -180.0, -1.0])
    assert -180 <= wrapped[4] < 180
    assert wrapped[5] == 0.1
    assert wrap_longitude(190.0) == -170.0


@modest
@given(places)
def test_unit_vectors_return(place: np.ndarray) -> None:
    vector = unit_vectors(place)
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    assert great_circle_km(place, from_unit_vectors(3.0 * vector)) < 1e-9


def test_axes_of_unit_vectors() -> None:
    axes = unit_vectors(np.array([[0.0, 0.0], [0.0, 90.0], [90.0, 0.0]]))
    np.testing.assert_allclose(axes, np.eye(3), atol=1e-15)


def test_checked_coordinates_are_float64_and_wrapped() -> None:
    checked = check_coordinates([[10, 180], [-90, -180], [0, 12], [1, 190], [2, 359.5]], "here")
    assert checked.dtype == np.float64
    np.testing.assert_array_equal(checked, [[10, -180], [-90, -180], [0, 12], [1, -170], [2, -0.5]])
    assert check_coordinates(np.empty((0, 2)), "here").shape == (0, 2)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ([1.0, 2.0], r"expected shape \[n, 2\].*found shape \[2\]"),
        ([[1.0, 2.0, 3.0]], r"found shape \[1, 3\]"),
        ([["a", "b"]], r"expected numbers of shape \[n, 2\]"),
        ([[1.0, 2.0], [3.0]], r"expected numbers of shape \[n, 2\]"),
        (
            [[0, 0], [120.5, 30], [100, 0]],
            r"row 1 \(counted from 0\): latitude 120.5, longitude 30: .* longitude swapped\?",
        ),
        ([[100, 120]], r"row 0 .* must lie in \[-90, 90\]"),
        ([[10, 360]], r"row 0 .* must lie in \[-180, 180\) or \[0, 360\)"),
        ([[10, 10], [np.nan, 10]], r"row 1 .*: latitude nan, .* not a place"),
        ([[10, np.inf]], r"longitude inf is not a place"),
    ],
)
def test_bad_coordinates_are_named(array: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check_coordinates(array, "places.csv")
    assert str(caught.value).startswith("places.csv")
    assert "\n" not in str(caught.value)


def test_edges_and_digits_of_degrees() -> None:
    for place in ((90.0, -180.0), (-90.0, 359.999999)):
        assert degrees_fault(*place) is None
        assert are_places(np.array([place])).all()
    assert str(degrees_fault(90.0000000001, 1.0)).startswith("latitude 90.0000000001, longitude 1: latitudes must lie")
    assert str(degrees_fault(np.float64(91), 120.0)).startswith("latitude 91, longitude 120: latitudes must lie")
