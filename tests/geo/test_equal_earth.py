from __future__ import annotations

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.geo.equal_earth import equal_earth, inverse_equal_earth
from earthclip.geo.sphere import great_circle_km

REFERENCE = pyproj.Proj("+proj=eqearth +R=1")
EDGES = [(90.0, 0.0), (-90.0, 0.0), (90.0, -180.0), (0.0, -180.0), (0.0, 179.999999), (0.0, 0.0), (-60.0, -180.0)]


def sample() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.uniform((-90, -180), (90, 180), size=(2000, 2)), EDGES])


def test_forward_agrees_with_proj() -> None:
    coordinates = sample()
    expected = np.stack(REFERENCE(coordinates[:, 1], coordinates[:, 0]), axis=1)
    np.testing.assert_allclose(equal_earth(coordinates), expected, atol=1e-12)


def test_inverse_agrees_with_proj() -> None:
    positions = equal_earth(sample()[np.abs(sample()[:, 0]) < 89])
    longitude, latitude = REFERENCE(positions[:, 0], positions[:, 1], inverse=True)
    assert great_circle_km(inverse_equal_earth(positions), np.stack([latitude, longitude], axis=1)).max() < 1e-5


def test_the_right_edge_is_180_forward_and_its_own_meridian_back() -> None:
    right = equal_earth(np.array([[0.0, 180.0]]))
    np.testing.assert_allclose(right, [[2.7066299836960748, 0.0]], atol=1e-12)
    assert great_circle_km(inverse_equal_earth(right), np.array([[0.0, 180.0]]))[0] < 1e-9


@settings(max_examples=80, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180))
def test_there_and_back(latitude: float, longitude: float) -> None:
    place = np.array([[latitude, longitude]])
    back = inverse_equal_earth(equal_earth(place))
    assert -180 <= back[0, 1] < 180
    # 20 cm: near a pole the height no longer resolves the latitude
    assert great_circle_km(place, back)[0] < (1e-8 if abs(latitude) < 85 else 2e-4)


def test_areas_are_true() -> None:
    step = 1e-4
    for latitude in (0.0, 35.0, 70.0, 88.0):
        corner = equal_earth(np.array([[latitude, 50.0], [latitude, 50 + step], [latitude + step, 50.0]]))
        east, north = corner[1] - corner[0], corner[2] - corner[0]
        on_map = east[0] * north[1] - east[1] * north[0]
        on_sphere = np.radians(step) ** 2 * np.cos(np.radians(latitude + step / 2))
        assert on_map == pytest.approx(on_sphere, rel=1e-4)


def test_positions_off_the_map_are_not_places() -> None:
    off = np.array([[0.0, 1.32], [2.71, 0.0], [2.0, 1.3], [0.0, -1e300], [np.nan, 0.0]])
    assert np.isnan(inverse_equal_earth(off)).all()
