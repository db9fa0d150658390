"""Cameras: the picture's centre is the target, half-widths are what they say, and space is seen beyond the limb."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.geo.sphere import EARTH_RADIUS_KM, from_unit_vectors, great_circle_km, unit_vectors
from recipes.orbit.camera import Cameras


def camera(
    target: tuple[float, float],
    half_width_km: float = 300.0,
    field_of_view: float = 40.0,
    tilt: float = 0.0,
    azimuth: float = 0.0,
    rotation: float = 0.0,
) -> Cameras:
    numbers = (half_width_km, field_of_view, tilt, azimuth, rotation)
    return Cameras(np.array([target]), *(np.array([number], np.float64) for number in numbers))


def centre_of(cameras: Cameras) -> np.ndarray:
    ground, _ = cameras.ground(101)
    return from_unit_vectors(ground[:, 50, 50].astype(np.float64))


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-89.9, 89.9),
    st.floats(-180, 179.99),
    st.floats(150, 1500),
    st.floats(20, 70),
    st.floats(0, 30),
    st.floats(0, 360),
    st.floats(0, 360),
)
def test_the_centre_pixel_sees_the_target(lat, lon, half_width, fov, tilt, azimuth, rotation):
    cameras = camera((lat, lon), half_width, fov, tilt, azimuth, rotation)
    assert great_circle_km(centre_of(cameras), cameras.targets)[0] < 0.01


@pytest.mark.parametrize(("target", "lon_east"), [((0.0, 179.9), -179.0), ((0.0, 10.0), 11.0)])
def test_unrotated_pictures_have_north_up_and_east_right(target, lon_east):
    ground, seen = camera(target, 150).ground(100)
    assert seen.all()
    places = from_unit_vectors(ground[0].astype(np.float64))
    assert places[0, 50, 0] > 1.0 > -1.0 > places[-1, 50, 0]
    assert abs((places[50, -1, 1] - lon_east + 180) % 360 - 180) < 0.5


def test_rotation_turns_the_picture():
    ground, _ = camera((0.0, 0.0), 150, rotation=90.0).ground(101)
    places = from_unit_vectors(ground[0].astype(np.float64))
    assert abs(places[50, -1, 0]) > 1.0
    assert abs(places[50, -1, 1]) < 0.05


@pytest.mark.parametrize("fov", [20.0, 45.0, 70.0])
def test_half_width_is_distance_times_tangent(fov):
    cameras = camera((30.0, 40.0), 500.0, fov, tilt=20.0, azimuth=70.0)
    position, _ = cameras.frames()
    distance_km = np.linalg.norm(position - unit_vectors(cameras.targets), axis=1) * EARTH_RADIUS_KM
    assert distance_km[0] * np.tan(np.radians(fov / 2)) == pytest.approx(500.0)


def test_a_small_nadir_view_spans_twice_its_half_width():
    ground, _ = camera((10.0, 20.0), 20.0).ground(400)
    places = from_unit_vectors(ground[0].astype(np.float64))
    across = great_circle_km(places[200, 0], places[200, -1])
    assert across == pytest.approx(2 * 20.0 * 399 / 400, rel=2e-3)


def test_tilt_moves_the_camera_toward_its_azimuth():
    cameras = camera((0.0, 0.0), 300.0, tilt=30.0, azimuth=90.0)
    position, _ = cameras.frames()
    foot = from_unit_vectors(position / np.linalg.norm(position, axis=1, keepdims=True))[0]
    assert abs(foot[0]) < 1e-9
    assert foot[1] > 1.0


def test_space_is_seen_beyond_the_limb():
    _, seen = camera((0.0, 0.0), 8000.0, 70.0).ground(64)
    assert seen[0, 32, 32]
    assert not seen[0, 0, 0]
