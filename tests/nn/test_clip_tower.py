from __future__ import annotations

from pathlib import Path

import torch

from earthclip.nn.backbone import HubBackbone
from tests.nn.tiny_clip import write_clip


def test_the_same_features_as_the_whole_tower(tmp_path: Path) -> None:
    backbone = HubBackbone.from_folder(write_clip(tmp_path, with_tokenizer=False))
    pixels = torch.randn(3, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    whole = backbone.network.get_image_features(pixel_values=pixels)
    whole = getattr(whole, "pooler_output", whole)  # transformers 4 gives the features themselves
    features = backbone.image_features(pixels)
    assert features.shape == (3, backbone.width)
    assert (features - whole).abs().max() < 1e-5 * whole.abs().max()
