"""Where something was between two fixes, and how unsure that is."""

from __future__ import annotations

import numpy as np
import pytest

from earthclip.geo.motion import whereabouts
from earthclip.geo.sphere import great_circle_km

PLACES = np.array([[50.0, 8.0], [50.0, 10.0], [0.0, 0.0]])


def test_between_two_fixes_at_the_share_of_the_time() -> None:
    found = whereabouts(np.array([-3600.0, 3 * 3600.0, 9e9]), PLACES, 12.0, "track")
    assert found is not None and found.sources == ("track",)
    ways = [float(great_circle_km(PLACES[side], found.place)) for side in (0, 1)]
    assert ways[1] == pytest.approx(3 * ways[0]) and sum(ways) == pytest.approx(
        float(great_circle_km(PLACES[0], PLACES[1]))
    )
    assert found.gap_h == pytest.approx(0.75)
    assert found.spread_km == pytest.approx(sum(ways) / 8)


def test_near_a_fix_it_is_as_sure_as_the_fix() -> None:
    found = whereabouts(np.array([0.0, 3600.0, 9e9]), PLACES, 12.0, "track")
    assert found is not None and (found.latitude, found.longitude, found.gap_h, found.spread_km) == (
        50.0,
        8.0,
        0.0,
        0.0,
    )


def test_with_fixes_on_one_side_the_gap_counts_whole() -> None:
    found = whereabouts(np.array([-7200.0, -10800.0, 9e9]), PLACES, 12.0, "neighbours")
    assert found is not None and (found.latitude, found.longitude) == (50.0, 8.0) and found.gap_h == 2.0
    assert whereabouts(np.array([-7200.0, -10800.0, 9e9]), PLACES, 1.0, "neighbours") is None
    assert whereabouts(np.empty(0), np.empty((0, 2)), 1.0, "neighbours") is None


def test_across_the_antimeridian_and_at_antipodes() -> None:
    found = whereabouts(np.array([-60.0, 60.0]), np.array([[0.0, 179.0], [0.0, -179.0]]), 1.0, "track")
    assert found is not None and abs(found.longitude) == pytest.approx(180.0)
    found = whereabouts(np.array([-60.0, 90.0]), np.array([[0.0, 0.0], [0.0, 180.0]]), 1.0, "track")
    assert found is not None and (found.latitude, found.longitude) == (0.0, 0.0)
