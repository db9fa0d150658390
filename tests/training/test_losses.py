"""The objectives against their definitions, the coordinate queue and the metre noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.geo.sphere import great_circle_km, pairwise_km, unit_vectors
from earthclip.training.losses import CoordinateQueue, add_noise, annealed_tau_km, distance_loss, one_hot_loss

PLACES = torch.tensor([[0.0, 0.0], [0.0, 1.0], [50.0, 10.0], [-20.0, -170.0]], dtype=torch.float64)


def test_one_hot_picks_the_diagonal():
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.5, 0.0, -1.0]])
    expected = -(torch.log_softmax(logits, dim=1)[[0, 1], [0, 1]]).mean()
    torch.testing.assert_close(one_hot_loss(logits), expected)


@pytest.mark.parametrize("tau_km", [20.0, 500.0])
def test_distance_targets_are_a_softmax_over_distance(tau_km):
    logits = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    weights = np.exp(-pairwise_km(PLACES[:2].numpy(), PLACES.numpy()) / tau_km)
    weights /= weights.sum(axis=1, keepdims=True)
    expected = -(weights * torch.log_softmax(logits, dim=1).numpy()).sum(axis=1).mean()
    assert distance_loss(logits, PLACES[:2], PLACES, tau_km).item() == pytest.approx(expected, rel=1e-5)


def test_distance_targets_become_one_hot_as_tau_shrinks():
    logits = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(distance_loss(logits, PLACES[:2], PLACES, 0.01), one_hot_loss(logits))


def test_tau_is_annealed_geometrically():
    assert annealed_tau_km(1000, 10, 0.0) == 1000
    assert annealed_tau_km(1000, 10, 0.5) == pytest.approx(100)
    assert annealed_tau_km(1000, 10, 1.0) == pytest.approx(10)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 12), st.lists(st.integers(1, 15), max_size=8))
def test_the_queue_holds_the_latest_and_loses_none(size, batches):
    queue, pushed = CoordinateQueue(size), []
    for length in batches:
        rows = [[float(len(pushed) + i), 0.0] for i in range(length)]
        pushed += rows
        queue.push(torch.tensor(rows))
        held = sorted(queue.coordinates.tolist())
        assert held == (pushed[-size:] if size else [])


def test_it_starts_empty_and_is_restored_exactly():
    queue = CoordinateQueue(5)
    assert len(queue) == 0
    queue.push(torch.arange(14.0).reshape(7, 2))
    other = CoordinateQueue(5)
    other.restore(queue.state())
    queue.push(torch.ones(2, 2))
    other.push(torch.ones(2, 2))
    assert torch.equal(queue.coordinates, other.coordinates)


@pytest.mark.parametrize("place", [(0.0, 0.0), (89.9999, 50.0), (-90.0, 0.0), (12.0, 179.9999)])
def test_noise_moves_by_metres_in_every_direction(place):
    coordinates = torch.tensor([place], dtype=torch.float64).repeat(4000, 1)
    moved = add_noise(coordinates, 1000.0, torch.Generator().manual_seed(0))
    distance_m = 1000 * great_circle_km(coordinates.numpy(), moved.numpy())
    assert np.sqrt((distance_m**2).mean()) == pytest.approx(1000, rel=0.05)
    drift_m = 6_371_008.8 * np.linalg.norm(
        (unit_vectors(moved.numpy()) - unit_vectors(coordinates.numpy())).mean(axis=0)
    )
    assert drift_m < 60


def test_no_noise_changes_nothing():
    coordinates = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert add_noise(coordinates, 0.0, torch.Generator()) is coordinates
