"""The prior of a photo's time: narrow where fixes are near, never certain, and what it multiplies stays a posterior."""

from __future__ import annotations

import numpy as np
import pytest

from earthclip.geo.motion import Whereabouts
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.movement import FLOOR, Moved, moved
from earthclip.locating.posterior import Posterior
from tests.locating.posteriors import lattice

PLACES = lattice(300.0)
HERE, THERE = np.array([46.0, 9.0]), np.array([-33.0, 151.0])


def evidence_for(place: np.ndarray, strength: float) -> tuple[Posterior, object]:
    """A picture whose evidence falls with the distance from a place; ``strength`` in nats over 1,000 km."""

    def evidence(coordinates: np.ndarray) -> np.ndarray:
        return np.asarray(-strength * np.minimum(great_circle_km(coordinates, place[None]) / 1000, 3.0))

    return Posterior.from_logits(PLACES, evidence(PLACES)), evidence


def answer(place: np.ndarray, strength: float, gap_h: float, spread_km: float = 0.0) -> Moved:
    posterior, evidence = evidence_for(place, strength)
    known = [Whereabouts(*HERE.tolist(), gap_h, spread_km, ("track",))]
    return moved(posterior, np.full(len(PLACES), -np.log(len(PLACES))), known, evidence)  # type: ignore[arg-type]


def within(found: Moved, km: float) -> float:
    near = great_circle_km(found.posterior.coordinates, HERE[None]) <= km
    return float(found.posterior.probabilities[near].sum())


def test_it_widens_with_the_gap_in_time() -> None:
    masses = [within(answer(HERE, 0.0, gap_h), 5.0) for gap_h in (0.0, 0.2, 1.0, 4.0)]
    assert masses[0] > 0.75 and masses == sorted(masses, reverse=True) and masses[-1] < 0.1
    assert within(answer(HERE, 0.0, 0.0, 40.0), 5.0) < 0.5 * masses[0]  # of fixes far apart, too
    for gap_h in (0.0, 1.0, 12.0):
        found = answer(HERE, 0.0, gap_h)
        assert found.posterior.probabilities.sum() == pytest.approx(1.0)
        assert within(found, 1000 * (gap_h + 1)) > 1 - FLOOR - 0.01


def test_the_floor_is_the_pictures_own_answer() -> None:
    posterior, _ = evidence_for(THERE, 0.0)
    found = answer(HERE, 0.0, 0.0)
    far = great_circle_km(PLACES, HERE[None]) > 2000
    np.testing.assert_allclose(
        found.posterior.probabilities[: len(PLACES)][far], FLOOR * posterior.probabilities[far], rtol=1e-3
    )


def test_a_sure_picture_wins_over_a_wrong_clock_and_an_unsure_one_does_not() -> None:
    for strength, place in ((8.0, THERE), (0.3, HERE)):
        coordinates, probabilities = answer(THERE, strength, 0.1).top_k(3)
        assert great_circle_km(coordinates[0], place) < 300.0 and probabilities[0] > 0.3
        assert (np.diff(probabilities) <= 0).all() and len(coordinates) == 3


def test_all_that_is_known_near_is_one_place_of_the_list() -> None:
    coordinates, probabilities = answer(HERE, 0.0, 0.1).top_k(5)
    assert great_circle_km(coordinates[0], HERE) < 0.5 and probabilities[0] > 0.75
    assert len(coordinates) == 5 and (great_circle_km(coordinates[1:], HERE[None]) > 10).all()


def test_two_that_disagree_both_count() -> None:
    posterior, evidence = evidence_for(THERE, 0.0)
    known = [Whereabouts(*place.tolist(), 0.1, 0.0, ("track",)) for place in (HERE, THERE)]
    found = moved(posterior, np.full(len(PLACES), -np.log(len(PLACES))), known, evidence)  # type: ignore[arg-type]
    assert found.top_k(2)[1] == pytest.approx([0.475, 0.475], abs=0.01)


class _North:
    name, fingerprint = "the north", "made for a test"

    def contains(self, coordinates: np.ndarray) -> np.ndarray:
        return coordinates[:, 0] > 0


def test_a_region_holds() -> None:
    posterior, evidence = evidence_for(HERE, 1.0)
    known = [Whereabouts(*THERE.tolist(), 0.0, 0.0, ("track",))]
    inside = posterior.within(_North())
    log_prior = Posterior.from_logits(PLACES, np.zeros(len(PLACES))).within(_North()).log_probabilities
    found = moved(inside, log_prior, known, evidence, _North())  # type: ignore[arg-type]
    assert found.posterior.probabilities[found.posterior.coordinates[:, 0] <= 0].sum() == 0
    assert found.posterior.probabilities.sum() == pytest.approx(1.0)
    assert (found.top_k(5)[0][:, 0] > 0).all()
