from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.errors import InputError
from earthclip.geo.cells import grid
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.posterior import Posterior
from earthclip.locating.trust import LEVELS, CredibleRegion, Verdict, check_confidence, judge
from tests.locating.posteriors import hill, lattice

FINE, COARSE = lattice(60.0), lattice(400.0)


def verdict_on(posterior: Posterior, place: np.ndarray | None = None) -> Verdict:
    """The verdict on ``place``, or else on the most probable place."""
    return judge(posterior, posterior.top_k(1)[0][0] if place is None else place)[0]


def test_levels_by_width() -> None:
    # Half of a normal distribution lies within 1.18 of its standard deviations.
    expected = {100.0: ("region", 200.0), 500.0: ("country", 750.0), 1500.0: ("continent", 2500.0)}
    for width_km, (level, radius_km) in expected.items():
        verdict = verdict_on(hill(FINE, (45.0, -170.0), width_km))
        assert (verdict.level, verdict.radius_km) == (level, radius_km)
        assert 0.5 <= verdict.mass <= 1.0


def test_nowhere_in_particular() -> None:
    verdict = verdict_on(Posterior.from_logits(COARSE, np.zeros(len(COARSE))))
    assert verdict.level is None and verdict.radius_km is None
    assert verdict.mass == pytest.approx((1 - np.cos(2500 / 6371)) / 2, rel=0.05)  # share of the sphere
    said = "Location unknown: no region stands out (only 4 % of the probability within 2,500 km of guess 1)"
    assert verdict.sentence == said


def test_nothing_is_claimed_between_places_far_apart() -> None:
    sure = hill(COARSE, (0.0, 0.0), 1.0)
    assert sure.probabilities.max() > 0.99
    verdict = verdict_on(sure)
    assert verdict.level == "country"  # places are 400 km apart, so neither street, city nor region
    town = np.concatenate([COARSE, [[10.0, 10.0], [10.004, 10.0], [10.0, 10.004], [10.004, 10.004]]])
    here = Posterior.from_logits(town, np.r_[np.zeros(len(COARSE)), [20.0, 20.0, 20.0, 20.0]])
    assert verdict_on(here).level == "street"


@settings(max_examples=30, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 179), st.floats(50, 5000))
def test_the_smallest_disc_that_holds_half(latitude: float, longitude: float, width_km: float) -> None:
    posterior = hill(FINE, (latitude, longitude), width_km)
    verdict = verdict_on(posterior)
    distance_km = great_circle_km(FINE, posterior.top_k(1)[0])
    held = [float(posterior.probabilities[distance_km <= km].sum()) for _, km in LEVELS]
    possible = [km for (_, km), mass in zip(LEVELS, held, strict=True) if mass >= 0.5 and km > 60]
    assert verdict.radius_km == (possible[0] if possible else None)
    assert judge(posterior, posterior.top_k(1)[0][0])[1] == pytest.approx(held[2])


def test_the_place_judged_may_be_another() -> None:
    posterior = hill(FINE, (0.0, 0.0), 300.0)
    assert verdict_on(posterior, np.array([0.0, 6.0])).mass < verdict_on(posterior).mass
    assert verdict_on(posterior, np.array([0.0, 120.0])).level is None


def test_sentences() -> None:
    assert Verdict("region", 200.0, 0.61).sentence == "Likely within 200 km of guess 1 (61 %)"
    assert "within 2,500 km" in Verdict("continent", 2500.0, 0.5).sentence
    assert "(more than 99 %)" in Verdict("street", 1.0, 0.9999).sentence


def test_the_least_confidence_is_a_probability() -> None:
    assert [check_confidence(value) for value in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="min_confidence is"):
            check_confidence(wrong)


@pytest.mark.parametrize("seed", range(8))
def test_areas_are_cells_joined_by_their_sides(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = grid(4)
    near = np.flatnonzero((np.abs(centres[:, 0]) < 60) & (np.abs(centres[:, 1]) < 150))
    cells = rng.choice(near, 200, replace=False)
    region = CredibleRegion(0.9, 4, cells, 1.0)
    assert region.areas == len(region.polygons().geoms)


def test_an_area_goes_across_the_antimeridian_and_over_a_pole() -> None:
    centres = grid(5)
    for place in ([0.0, 180.0], [90.0, 0.0], [-90.0, 0.0]):
        distance = great_circle_km(centres, np.tile([place], (len(centres), 1)))
        assert CredibleRegion(0.9, 5, np.flatnonzero(distance < 800), 1.0).areas == 1
    assert CredibleRegion(0.9, 5, np.empty(0, np.int64), 1.0).areas == 0
