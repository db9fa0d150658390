"""CLIP without what nobody reads: the same features, on every runtime."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from earthclip.models import Precision, Runtime
from earthclip.models.config import IMAGE_ENCODER
from earthclip.models.encoders import Encoder
from earthclip.nn.backbone import HubBackbone
from earthclip.nn.export import export_image_encoder
from earthclip.nn.image_encoder import HeadEncoder
from tests.nn.tiny_clip import write_clip


def test_the_same_features_as_the_whole_tower(tmp_path: Path) -> None:
    backbone = HubBackbone.from_folder(write_clip(tmp_path, with_tokenizer=False))
    pixels = torch.randn(3, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    whole = backbone.network.get_image_features(pixel_values=pixels)
    whole = getattr(whole, "pooler_output", whole)  # transformers 4 gives the features themselves
    features = backbone.image_features(pixels)
    assert features.shape == (3, backbone.width)
    assert (features - whole).abs().max() < 1e-5 * whole.abs().max()


@pytest.mark.parametrize(
    ("runtime", "precision", "cosine"),
    [("onnxruntime", "float32", 1 - 1e-6), ("openvino", "float32", 1 - 1e-6), ("openvino", "bfloat16", 0.999)],
)
def test_every_runtime_equals_torch_at_every_batch_size(
    tmp_path: Path, runtime: Runtime, precision: Precision, cosine: float
) -> None:
    backbone = HubBackbone.from_folder(write_clip(tmp_path / "clip", with_tokenizer=False))
    encoder = HeadEncoder(backbone.width, 16, backbone).eval()
    export_image_encoder(encoder, backbone.image_size, tmp_path)
    pixels = torch.randn(8, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = F.normalize(encoder(pixels), dim=1).numpy()
    running = Encoder(tmp_path / IMAGE_ENCODER, 16, runtime=runtime, precision=precision)
    for size in (8, 1, 3):  # one after the other: a graph must not remember the batch it saw first
        for start in range(0, 8, size):
            rows = running.encode(pixels[start : start + size].numpy())
            assert (rows * expected[start : start + size]).sum(axis=1).min() > cosine
