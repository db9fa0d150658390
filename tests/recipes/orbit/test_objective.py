"""The loss of grid cells against its definition, and which cells are chosen."""

from __future__ import annotations

import torch

from recipes.orbit.objective import cell_loss, choose_cells


def test_cells_are_told_from_the_shared_negatives_only():
    unit = torch.nn.functional.normalize(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    cells, own, shared, scale = unit[:2], unit[2:4], unit[4:], torch.tensor(3.0)
    rows = [
        -torch.log_softmax(scale * torch.stack([c @ o, c @ shared[0], c @ shared[1]]), 0)[0]
        for c, o in zip(cells, own, strict=True)
    ]
    torch.testing.assert_close(cell_loss(cells, own, shared, scale), torch.stack(rows).mean())


def test_cells_that_see_space_are_left_out():
    places = torch.arange(24.0, dtype=torch.float64).reshape(3, 4, 2)
    places[1, 2:] = torch.nan
    chosen, own = choose_cells(places, 4, torch.Generator().manual_seed(0))
    assert sorted(chosen.tolist()) == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11]
    assert torch.equal(own, places.flatten(0, 1)[chosen])
