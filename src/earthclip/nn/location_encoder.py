"""The hierarchical location encoder of GeoCLIP: one capsule per scale over Fourier features, summed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earthclip.nn.position import FourierFeatures


@dataclass(frozen=True)
class LocationEncoderConfig:
    """The defaults are the published encoder's."""

    sigmas: tuple[float, ...] = (1.0, 16.0, 256.0)  # a capsule each, from continents to streets
    frequencies: int = 256  # per sigma; cos and sin of each
    width: int = 1024
    depth: int = 3  # hidden layers of a capsule
    position: Literal["equal-earth", "sphere"] = "equal-earth"  # what the Fourier features are of


class Capsules(nn.Module):
    """The network on top: each scale's features through its own MLP, the results summed."""

    def __init__(self, scales: int, features_per_scale: int, width: int, depth: int, embedding_size: int) -> None:
        super().__init__()
        self.features_per_scale = features_per_scale
        self.capsules = nn.ModuleList(_capsule(features_per_scale, width, depth, embedding_size) for _ in range(scales))

    def forward(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n d"]:
        """Fourier features, scale by scale, to embeddings (not normalised)."""
        parts = torch.split(features, self.features_per_scale, dim=1)
        outputs = [capsule(part) for capsule, part in zip(self.capsules, parts, strict=True)]
        return torch.stack(outputs).sum(dim=0)


class LocationEncoder(nn.Module):
    """Coordinates to embeddings: a positional encoding, then a network; either can be swapped."""

    def __init__(self, config: LocationEncoderConfig, embedding_size: int, seed: int = 0) -> None:
        super().__init__()
        sphere = config.position == "sphere"
        self.position: FourierFeatures = FourierFeatures(config.sigmas, config.frequencies, seed, sphere=sphere)
        self.network: Capsules = Capsules(
            len(config.sigmas), 2 * config.frequencies, config.width, config.depth, embedding_size
        )

    @classmethod
    def from_pretrained(cls, source: str | Path = "geoclip") -> LocationEncoder:
        """The trained encoder of a model folder, or of a release folder of the published package; nothing downloads.

        Its weights take part in training wherever it is used; call ``requires_grad_(False)`` to freeze them. Raises
        ModelError when the source is not on this machine or has no weights to train on.
        """
        from earthclip.nn.pretrained import load_location_encoder

        return load_location_encoder(source)

    def forward(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n d"]:
        """Degrees (latitude, longitude) to embeddings (not normalised)."""
        embeddings: Tensor = self.network(self.position(coordinates))
        return embeddings


def _capsule(features: int, width: int, depth: int, embedding_size: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    size = features
    for _ in range(depth):
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, embedding_size))
