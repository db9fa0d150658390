from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.errors import InputError
from earthclip.geo.sphere import destination, great_circle_km, unit_vectors
from earthclip.locating.posterior import Posterior
from earthclip.locating.refinement import Grids, refine
from tests.locating.posteriors import lattice

LATTICE = lattice(300.0)
SCALE = np.log(2000.0)


def encode(coordinates: np.ndarray) -> np.ndarray:
    """Unit vectors are an embedding whose cosine falls with distance, smoothly and everywhere."""
    return unit_vectors(coordinates)


def posterior_of(embedding: np.ndarray, places: np.ndarray = LATTICE) -> Posterior:
    return Posterior.from_logits(places, np.exp(SCALE) * encode(places) @ embedding)


@settings(max_examples=30, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 179.99))
def test_finds_the_place_itself(latitude: float, longitude: float) -> None:
    truth = np.array([latitude, longitude])
    embedding = encode(truth[None])[0]
    posterior = posterior_of(embedding)
    coordinates, logs = refine(embedding, posterior, encode, logit_scale=SCALE)
    assert coordinates.shape == (5, 2) and logs.shape == (5,)
    assert great_circle_km(coordinates[0], truth) < 0.05
    assert great_circle_km(posterior.top_k(1)[0][0], truth) > great_circle_km(coordinates[0], truth)
    assert (np.diff(logs) <= 0).all()
    assert ((coordinates[:, 1] >= -180) & (coordinates[:, 1] < 180)).all()
    # Of those that climb the same hill one gets to the top, and the others stay apart from it.
    assert great_circle_km(coordinates[1:], coordinates[0]).min() > 0.01


def test_candidates_share_what_they_held() -> None:
    embedding = encode(np.array([[12.0, 34.0]]))[0]
    posterior = posterior_of(embedding)
    grids = Grids(candidates=6, apart_km=0.0)
    _, before = posterior.top_k(6)
    _, logs = refine(embedding, posterior, encode, logit_scale=SCALE, top_k=6, grids=grids)
    assert np.exp(logs).sum() == pytest.approx(before.sum())


def test_every_grid_of_a_round_is_one_call() -> None:
    calls = []

    def counted(coordinates: np.ndarray) -> np.ndarray:
        calls.append(len(coordinates))
        return encode(coordinates)

    embedding = encode(np.array([[12.0, 34.0]]))[0]
    refine(embedding, posterior_of(embedding), counted, logit_scale=SCALE)
    assert calls == [8 * 49, 8 * 49, 4 * 49, 2 * 49, *[49] * 7]


@dataclass
class NorthOf:
    latitude: float
    name: str = "the north"

    fingerprint = "made for a test"

    def contains(self, coordinates: np.ndarray) -> np.ndarray:
        return coordinates[:, 0] >= self.latitude


def test_nothing_leaves_the_region() -> None:
    embedding = encode(np.array([[9.5, 34.0]]))[0]
    region = NorthOf(10.0)
    posterior = posterior_of(embedding).within(region)
    coordinates, logs = refine(embedding, posterior, encode, logit_scale=SCALE, region=region)
    assert (coordinates[:, 0] >= 10.0).all()
    assert coordinates[0] == pytest.approx([10.0, 34.0], abs=0.3)
    assert np.exp(logs).sum() <= 1.0 + 1e-9


def test_a_second_hill_is_kept() -> None:
    first, second = np.array([0.0, 0.0]), np.array([0.0, 60.0])
    both = np.concatenate([first[None], second[None]])

    def hills(coordinates: np.ndarray) -> np.ndarray:
        near = great_circle_km(coordinates[:, None], both[None])
        return np.exp(-near / 2000.0)

    embedding = np.array([1.0, 0.98])
    logits = 100.0 * hills(LATTICE) @ embedding
    found = refine(
        embedding, Posterior.from_logits(LATTICE, logits), hills, logit_scale=np.log(100.0), top_k=8,
        grids=Grids(candidates=2, apart_km=2000.0),
    )  # fmt: skip
    assert great_circle_km(found[0][0], first) < 0.1
    assert great_circle_km(found[0], second).min() < 10.0


@pytest.mark.parametrize("places", [1, 3])
def test_few_places(places: int) -> None:
    embedding = encode(destination(LATTICE[100:101], np.array([40.0]), np.array([50.0])))[0]
    near = LATTICE[100 : 100 + places]
    coordinates, logs = refine(embedding, posterior_of(embedding, near), encode, logit_scale=SCALE, top_k=places)
    assert len(coordinates) == places
    assert np.exp(logs).sum() == pytest.approx(1.0)
    assert great_circle_km(coordinates[0], destination(near[:1], np.array([40.0]), np.array([50.0]))[0]) < 0.05


@pytest.mark.parametrize(
    "wrong", [{"points": 6}, {"points": 3}, {"shrink": 1.0}, {"shrink": 4.0}, {"rounds": 0}, {"half_width_km": 0.0}]
)
def test_grids_that_do_not_narrow_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="grids"):
        Grids(**wrong)  # type: ignore[arg-type]
