from __future__ import annotations

import pytest
import torch

from earthclip.nn.geoclip import GeoCLIP, GeoCLIPConfig
from earthclip.nn.image_encoder import CompactEncoderConfig
from earthclip.nn.location_encoder import LocationEncoderConfig

TINY = GeoCLIPConfig(
    embedding_size=12,
    image=CompactEncoderConfig(image_size=16, stem=4, channels=(6, 8), blocks=(1, 1), reduced=5),
    location=LocationEncoderConfig(sigmas=(1.0, 16.0, 256.0), frequencies=64, width=24, depth=2),
)


@pytest.fixture
def tiny() -> GeoCLIP:
    model = GeoCLIP.from_config(TINY, seed=3)
    generator = torch.Generator().manual_seed(0)
    for block in model.image_encoder.modules():  # norms start as the identity; make them count
        if isinstance(block, torch.nn.BatchNorm2d):
            block.weight.data = torch.rand(block.weight.shape, generator=generator) + 0.5
            block.running_mean.data = torch.randn(block.weight.shape, generator=generator) * 0.1
    return model.eval()
