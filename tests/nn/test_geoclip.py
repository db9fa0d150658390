"""GeoCLIP's forward pass, its image encoder, and golden numbers of a tiny model."""

from __future__ import annotations

import math

import pytest
import torch

from earthclip.nn.geoclip import GeoCLIP
from tests.nn.conftest import TINY

PLACES = torch.tensor([[0.0, 0.0], [48.85, 2.35], [-33.9, 151.2]])


def pixels(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_logits_are_scaled_cosines(tiny):
    image, place = tiny.encode_image(pixels()), tiny.encode_location(PLACES)
    torch.testing.assert_close(image.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(place.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(tiny(pixels(), PLACES), image @ place.T / 0.07, rtol=1e-5, atol=1e-5)


def test_logit_scale_starts_as_published_and_is_bounded(tiny):
    assert tiny.logit_scale.item() == pytest.approx(math.log(1 / 0.07))
    tiny.logit_scale.data.fill_(9.0)
    assert tiny.scale().item() == pytest.approx(100.0)


def test_the_seed_gives_the_weights_and_leaves_the_global_generator(tiny):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first, second, other = (GeoCLIP.from_config(TINY, seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(first.image_encoder.head.weight, other.image_encoder.head.weight)


def test_cells_come_row_by_row_beside_the_same_whole(tiny):
    whole, cells = tiny.image_encoder.with_cells(pixels())
    assert cells.shape == (2, 4, 12)
    torch.testing.assert_close(whole, tiny.image_encoder(pixels()))
    features = tiny.image_encoder.cell_head(tiny.image_encoder.trunk(pixels()))
    torch.testing.assert_close(cells[:, 1], features[:, :, 0, 1])


def test_the_layout_of_the_picture_reaches_the_embedding(tiny):
    mirrored = tiny.encode_image(pixels().flip(3))
    assert (tiny.encode_image(pixels()) - mirrored).abs().max().item() > 1e-3


def test_embeddings_do_not_depend_on_the_batch(tiny):
    torch.testing.assert_close(
        tiny.encode_image(pixels(5))[3:4], tiny.encode_image(pixels(5)[3:4]), rtol=1e-5, atol=1e-6
    )
