"""HEALPix cells of several levels as learned embeddings beside the location encoder: a picture's cell is a class each.

The log probability of a cell is a scaled cosine less the level's log partition, which is the same for all places; so
the product of the levels' probabilities (GeoSURGE's) ranks places as the sum of their cells' scaled embeddings does,
and stays a search by embeddings.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from earthclip.geo.cells import cell_of

_MAX_LOG_SCALE = math.log(100)  # as of the pictures and places


class CellLevels(nn.Module):
    """An embedding for each cell of each of ``levels`` (HEALPix order), and a temperature a level."""

    def __init__(self, levels: tuple[int, ...], embedding_size: int) -> None:
        super().__init__()
        self.levels = levels
        self.cells = nn.ModuleList(nn.Embedding(12 * 4**level, embedding_size) for level in levels)
        self.log_scales = nn.Parameter(torch.full((len(levels),), math.log(1 / 0.07)))

    def loss(self, images: Float[Tensor, "b d"], coordinates: Float[Tensor, "b 2"]) -> Float[Tensor, ""]:
        """Mean over the levels of the cross-entropy of the pictures' cells; ``images`` are unit rows."""
        losses = []
        for scale, table, cells in zip(self._scales(), self.cells, self._cells(coordinates), strict=True):
            logits = scale * images.float() @ F.normalize(next(table.parameters()), dim=1).T
            losses.append(F.cross_entropy(logits, cells))
        return torch.stack(losses).mean()

    def forward(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n d"]:
        """What to add to each place's scaled embedding; coordinates in degrees."""
        parts = [
            scale * F.normalize(table(cells), dim=1)
            for scale, table, cells in zip(self._scales(), self.cells, self._cells(coordinates), strict=True)
        ]
        return torch.stack(parts).sum(dim=0)

    def _scales(self) -> Float[Tensor, " l"]:
        return self.log_scales.clamp(max=_MAX_LOG_SCALE).exp()

    def _cells(self, coordinates: Tensor) -> list[Int[Tensor, " n"]]:
        degrees = coordinates.detach().double().numpy()
        return [torch.from_numpy(cell_of(degrees, level)) for level in self.levels]
