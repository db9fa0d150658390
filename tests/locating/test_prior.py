from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from earthclip.errors import InputError
from earthclip.geo.cells import PlaceCells
from earthclip.locating.posterior import Posterior, adjustment, check_prior, density, log_prior
from tests.locating.posteriors import lattice


def crowded(rng: np.random.Generator) -> np.ndarray:
    """Even places, 150 km apart, and 9,000 more on 20 by 20 degrees of the Earth."""
    even = lattice(150.0)
    crowd = np.stack([rng.uniform(30, 50, 9000), rng.uniform(0, 20, 9000)], axis=1)
    return np.concatenate([even, crowd])


def test_the_crowd_is_divided_out() -> None:
    places = crowded(np.random.default_rng(0))
    logs = log_prior("land", "photos", places)
    assert logs is not None
    flat = Posterior.from_logits(places, np.zeros(len(places)))
    inside = (places[:, 0] > 30) & (places[:, 0] < 50) & (places[:, 1] > 0) & (places[:, 1] < 20)
    share = (np.sin(np.radians(50)) - np.sin(np.radians(30))) / 2 * 20 / 360  # of the sphere
    before, after = (found.probabilities[inside].sum() for found in (flat, flat.reweighted(logs)))
    assert before > 10 * share
    assert share / 2 < after < 2.5 * share  # the crowd's edge runs through cells


def test_density_counts_places_near() -> None:
    places = crowded(np.random.default_rng(1))
    found = density(PlaceCells.of(places))
    assert found.min() >= 1.0
    middle = (np.abs(places[:, 0] - 40) < 5) & (np.abs(places[:, 1] - 10) < 5)
    far = places[:, 0] < -20
    assert 8 < np.median(found[middle]) / np.median(found[far]) < 60


def test_a_model_that_is_even_already_is_left_alone() -> None:
    places = lattice(400.0)
    assert log_prior("land", "uniform over the land between latitudes -60 and 80", places) is None
    assert log_prior("model", "photos", places) is None


@dataclass(frozen=True)
class South:
    limit: float
    name: str = "the south"

    fingerprint = "made for a test"

    def contains(self, coordinates: np.ndarray) -> np.ndarray:
        return coordinates[:, 0] < self.limit


def test_prior_and_region_at_once() -> None:
    places = crowded(np.random.default_rng(2))
    posterior = Posterior.from_logits(places, np.random.default_rng(3).normal(size=len(places)))
    logs = log_prior("land", "photos", places)
    assert logs is not None
    both = adjustment("land", "photos", places, South(40.0))
    assert both is not None
    expected = posterior.reweighted(logs).within(South(40.0)).probabilities
    assert posterior.reweighted(both).probabilities == pytest.approx(expected, rel=1e-9)
    alone = adjustment("model", "photos", places, South(40.0))
    assert alone is not None
    assert posterior.reweighted(alone).probabilities == pytest.approx(posterior.within(South(40.0)).probabilities)
    assert adjustment("model", "photos", places) is None
    with pytest.raises(InputError, match="region 'the south' holds none"):
        adjustment("land", "photos", places, South(-91.0))


def test_small_galleries_have_a_density_too() -> None:
    assert density(PlaceCells.of(np.array([[0.0, 0.0], [0.0, 0.0], [50.0, 50.0]]))).shape == (3,)


def test_unknown_priors_are_refused() -> None:
    with pytest.raises(InputError, match="unknown prior 'sea'; expected model or land"):
        check_prior("sea")
