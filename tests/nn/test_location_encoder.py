"""The location encoder against the published formulas, and its phases under low precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from earthclip.geo.equal_earth import equal_earth
from earthclip.nn.location_encoder import (
    EqualEarth,
    FourierFeatures,
    LocationEncoder,
    LocationEncoderConfig,
    UnitVector,
)

PLACES = torch.tensor([[0.0, 0.0], [48.85, 2.35], [-33.9, 151.2], [71.0, -179.9], [-60.0, 179.9], [90.0, 10.0]])


def test_the_projection_is_equal_earth_scaled_as_published():
    expected = equal_earth(PLACES.double().numpy()) * 66.50336 / 180
    np.testing.assert_allclose(EqualEarth()(PLACES.double()).numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(EqualEarth()(PLACES).numpy(), expected, atol=1e-6)


def test_features_are_cosines_and_sines_of_each_scale():
    features = FourierFeatures((1.0, 16.0), frequencies=8, seed=2)
    values = features(PLACES).reshape(len(PLACES), 2, 2, 8)
    np.testing.assert_allclose((values**2).sum(dim=2).numpy(), 1.0, atol=1e-5)
    plane = EqualEarth()(PLACES)
    first = torch.cos(2 * np.pi * plane @ features.frequencies[1].T)
    np.testing.assert_allclose(values[:, 1, 0].numpy(), first.numpy(), atol=1e-4)
    spread = features.frequencies.std(dim=(1, 2))
    assert 8 < float(spread[1] / spread[0]) < 32


def test_phases_stay_float32_under_autocast():
    features = FourierFeatures((256.0,), frequencies=32)
    alone = features(PLACES)
    with torch.autocast("cpu", torch.bfloat16):
        cast = features(PLACES)
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, alone, rtol=0, atol=0)


def test_the_default_is_the_published_size():
    encoder = LocationEncoder(LocationEncoderConfig(), embedding_size=512)
    assert encoder(PLACES).shape == (6, 512)
    shapes = [tuple(p.shape) for p in encoder.network.capsules[0].parameters() if p.ndim == 2]
    assert shapes == [(1024, 512), (1024, 1024), (1024, 1024), (512, 1024)]
    assert len(encoder.network.capsules) == 3


def test_capsules_do_not_share_weights():
    encoder = LocationEncoder(LocationEncoderConfig((1.0, 4.0), 4, 8, 1), embedding_size=5)
    first, second = (capsule[0].weight for capsule in encoder.network.capsules)
    assert not torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()


@pytest.mark.parametrize("n", [0, 1, 7])
def test_any_number_of_places(n):
    encoder = LocationEncoder(LocationEncoderConfig((1.0,), 4, 8, 1), embedding_size=5)
    assert encoder(torch.zeros(n, 2)).shape == (n, 5)


def test_unit_vectors_have_no_seam_and_the_planes_length():
    vectors = UnitVector()(PLACES.double())
    np.testing.assert_allclose(vectors.norm(dim=1).numpy(), 1 / np.pi, atol=1e-12)
    sides = torch.tensor([[10.0, 180.0], [10.0, -180.0], [90.0, 0.0], [90.0, 77.0]], dtype=torch.float64)
    encoder = LocationEncoder(LocationEncoderConfig((1.0, 16.0), 8, 8, 1, position="sphere"), embedding_size=5)
    east, west, pole, turned = encoder(sides)
    torch.testing.assert_close(east, west)
    torch.testing.assert_close(pole, turned)
    flat = LocationEncoder(LocationEncoderConfig((1.0, 16.0), 8, 8, 1), embedding_size=5)
    assert (flat(sides)[0] - flat(sides)[1]).abs().max() > 1e-3
    # A degree at the equator is as long as on the plane: a sigma means the same kernel.
    step = torch.tensor([[0.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    lengths = [(projection(step)[1] - projection(step)[0]).norm().item() for projection in (UnitVector(), EqualEarth())]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.2)
