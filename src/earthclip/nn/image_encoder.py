"""Image encoders: GeoCLIP's head over a frozen backbone, and a compact network that is trained from the pixels.

The paper's image encoder (arXiv 2309.16020) is CLIP ViT-L/14, frozen, under two linear layers that are trained:
``HeadEncoder``. The compact network is ours. It keeps its spatial layout to the end: where the coastline runs in the
picture is what tells the place, and global average pooling would throw that away.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from earthclip.errors import ModelError
from earthclip.nn.backbone import HubBackbone

MEAN, STD = 0.4, 0.25  # of the pixels that the compact network takes; the same for the three colours


@dataclass(frozen=True)
class CompactEncoderConfig:
    """Sizes of the compact network; its input is ``image_size`` pixels square."""

    image_size: int = 64
    stem: int = 32  # channels after the first, twofold reduction
    channels: tuple[int, ...] = (64, 160, 320)  # of the stages, each half as large as the one before
    blocks: tuple[int, ...] = (1, 2, 2)  # residual blocks a stage
    reduced: int = 96  # channels that each cell of the last grid keeps in the final embedding

    @property
    def grid(self) -> int:
        """Cells across the last grid."""
        return self.image_size >> (1 + len(self.channels))


class ImageEncoder(nn.Module):
    """What GeoCLIP needs of an image encoder."""

    image_size: int = 0  # pixels across the square pictures it takes; 0: it takes features alone

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Preprocessed pixels to embeddings (not normalised)."""
        raise NotImplementedError

    def __call__(self, pixels: Tensor) -> Tensor:
        """As ``forward``; here so that type checkers know what comes out."""
        embeddings: Tensor = super().__call__(pixels)
        return embeddings

    def frozen(self, pixels: Tensor) -> Tensor:
        """The part of ``forward`` that no training changes; ``forward`` takes its result in place of the pixels."""
        return pixels

    def encode_tokens(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b d"]:
        """Embeddings of texts (not normalised). Raises ModelError where there is no text encoder beside it."""
        raise ModelError(f"{type(self).__name__} has no words; use a backbone such as CLIP")


class HeadEncoder(ImageEncoder):
    """GeoCLIP's head: Linear, ReLU, Linear over the features of a frozen backbone, which pictures and texts share.

    Without ``backbone`` it takes features of ``width`` numbers that were computed before.
    """

    def __init__(self, width: int, embedding_size: int, backbone: HubBackbone | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.image_size = backbone.image_size if backbone is not None else 0
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, embedding_size))

    def forward(self, given: Float[Tensor, "b 3 h w"] | Float[Tensor, "b w"]) -> Float[Tensor, "b d"]:
        """Embeddings (not normalised) of preprocessed pixels, or of features."""
        embeddings: Tensor = self.head(self.frozen(given))  # [b, 3, h, w] -> [b, w] -> [b, d]
        return embeddings

    def frozen(self, given: Tensor) -> Tensor:
        """The backbone's features [b, w]; features stay what they are."""
        return given if self.backbone is None or given.ndim == 2 else self.backbone.image_features(given)

    def encode_tokens(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b d"]:
        """Embeddings of token ids (not normalised)."""
        if self.backbone is None:
            return super().encode_tokens(tokens)
        embeddings: Tensor = self.head(self.backbone.text_features(tokens))  # [b, t] -> [b, w] -> [b, d]
        return embeddings

    def train(self, mode: bool = True) -> HeadEncoder:
        """Training mode is for the head; the backbone stays as it is."""
        super().train(mode)
        if self.backbone is not None:
            self.backbone.eval()
        return self


class CompactEncoder(ImageEncoder):
    """A small residual network from pixels to one embedding a picture and, for training, one a grid cell."""

    def __init__(self, config: CompactEncoderConfig, embedding_size: int) -> None:
        super().__init__()
        self.image_size = config.image_size
        layers: list[nn.Module] = [_convolution(3, config.stem, 5, stride=2)]
        size = config.stem
        for channels, blocks in zip(config.channels, config.blocks, strict=True):
            layers.append(_convolution(size, channels, 3, stride=2))
            layers += [ResidualBlock(channels) for _ in range(blocks)]
            size = channels
        self.trunk = nn.Sequential(*layers)
        self.reduce = nn.Conv2d(size, config.reduced, 1)
        self.head = nn.Linear(config.reduced * config.grid**2, embedding_size)
        self.cell_head = nn.Conv2d(size, embedding_size, 1)

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Embeddings of whole pictures (not normalised)."""
        return self._whole(self.trunk(pixels))

    def with_cells(self, pixels: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b cells d"]]:
        """Embeddings of the pictures and of each cell of their last grid, row by row (not normalised)."""
        features = self.trunk(pixels)  # [b, c, grid, grid]
        cells = self.cell_head(features).flatten(2).transpose(1, 2)  # [b, d, grid, grid] -> [b, grid * grid, d]
        return self._whole(features), cells

    def _whole(self, features: Tensor) -> Tensor:
        # [b, c, grid, grid] -> [b, reduced, grid, grid] -> [b, reduced * grid * grid] -> [b, d]
        embeddings: Tensor = self.head(F.relu(self.reduce(features)).flatten(1))
        return embeddings


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity (He et al., 2015)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels, 3)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)  # each block starts as the identity (Goyal et al., 2017)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Features of the same shape."""
        return torch.relu(x + self.norm(self.second(self.first(x))))


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
