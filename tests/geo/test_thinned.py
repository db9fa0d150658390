"""Candidate places: some of the training photos', one in each square."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earthclip.geo.sphere import great_circle_km, thinned


@given(st.integers(1, 200), st.sampled_from([0.5, 20.0, 900.0]), st.integers(0, 9))
def test_thinned_places_are_some_of_the_given_one_in_each_square(n, spacing_km, seed):
    rng = np.random.default_rng(seed)
    places = np.stack([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)], axis=1)
    kept = thinned(np.concatenate([places, places]), spacing_km)
    assert 1 <= len(kept) <= n
    assert {tuple(row) for row in kept} <= {tuple(row) for row in places}
    for place in places:  # nobody is farther from a candidate than across a square
        assert great_circle_km(np.broadcast_to(place, kept.shape), kept).min() < 1.6 * spacing_km


def test_thinned_places_at_the_poles_and_the_antimeridian():
    places = np.array([[90.0, 0.0], [90.0, 90.0], [-90.0, -180.0], [0.0, 179.9999], [0.0, -180.0]])
    assert len(thinned(places, 50.0)) in (4, 5)
