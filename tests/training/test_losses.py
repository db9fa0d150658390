"""The objectives against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from earthclip.geo.sphere import pairwise_km
from earthclip.training.losses import annealed_tau_km, cell_loss, distance_loss, one_hot_loss

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


def test_cells_are_told_from_the_shared_negatives_only():
    unit = torch.nn.functional.normalize(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    cells, own, shared, scale = unit[:2], unit[2:4], unit[4:], torch.tensor(3.0)
    rows = [
        -torch.log_softmax(scale * torch.stack([c @ o, c @ shared[0], c @ shared[1]]), 0)[0]
        for c, o in zip(cells, own, strict=True)
    ]
    torch.testing.assert_close(cell_loss(cells, own, shared, scale), torch.stack(rows).mean())


def test_tau_is_annealed_geometrically():
    assert annealed_tau_km(1000, 10, 0.0) == 1000
    assert annealed_tau_km(1000, 10, 0.5) == pytest.approx(100)
    assert annealed_tau_km(1000, 10, 1.0) == pytest.approx(10)
