"""Which views are drawn and what they show, on the real land mask and imagery."""

from __future__ import annotations

import numpy as np
import pytest

from earthclip.geo.sphere import great_circle_km, unit_vectors
from recipes.orbit.imagery import land_mask, load_texture
from recipes.orbit.views import ViewDistribution, land_places, render, sample_cameras


def test_the_land_mask_knows_the_world():
    known = {(48, 2): True, (0, -30): False, (-25, 135): True, (42, 50): False, (65, -150): True, (-75, 0): True}
    found = land_mask().at(unit_vectors(np.array(list(known), dtype=float)))
    assert found.tolist() == list(known.values())


def test_cameras_keep_to_the_distribution():
    wanted = ViewDistribution()
    cameras = sample_cameras(400, land_mask(), np.random.default_rng(0), wanted)
    assert len(cameras) == 400
    assert land_mask().at(unit_vectors(cameras.targets)).all()
    ground, seen = cameras.ground(24)
    share = (land_mask().at(ground) & seen).mean(axis=(1, 2))
    assert share.min() > wanted.min_land - 0.1  # judged on a coarser grid
    for values, (low, high) in (
        (cameras.targets[:, 0], wanted.latitude_deg),
        (cameras.half_width_km, wanted.half_width_km),
        (cameras.tilt_deg, wanted.tilt_deg),
        (cameras.field_of_view_deg, wanted.field_of_view_deg),
    ):
        assert values.min() >= low
        assert values.max() <= high
    below = (cameras.half_width_km < np.sqrt(150 * 1500)).mean()
    assert below == pytest.approx(0.5, abs=0.08)  # log-uniform, but for the rejected views


def test_the_same_generator_gives_the_same_cameras():
    first, second = (sample_cameras(20, land_mask(), np.random.default_rng(5)) for _ in range(2))
    for a, b in zip(first.arrays(), second.arrays(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_view_of_the_sahara_is_tan_and_one_of_the_pacific_blue():
    cameras = sample_cameras(2, land_mask(), np.random.default_rng(0))
    cameras.targets[:] = [[23.0, 12.0], [0.0, -140.0]]
    sahara, pacific = render(cameras, load_texture("bmng", 1350), 16)[..., :3].mean(axis=(1, 2))
    assert sahara[0] > sahara[2] + 0.15
    assert pacific[2] > pacific[0] + 0.1


def test_land_places_are_evenly_spaced_land():
    places = land_places(land_mask(), 200.0)
    assert land_mask().at(unit_vectors(places)).all()
    assert places[:, 0].min() >= -60.0
    assert places[:, 0].max() <= 80.0
    distance = great_circle_km(places[:, None], places[None])
    np.fill_diagonal(distance, np.inf)
    assert distance.min() > 130
    assert np.median(distance.min(axis=1)) == pytest.approx(195, abs=25)
