"""The loss of rendered views: GeoCLIP's, and the same for cells of each picture, whose places are known too."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from earthclip.errors import ConfigError
from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.image_encoder import CompactEncoder
from earthclip.training import Batch, TrainingConfig, contrastive_loss
from earthclip.training.losses import picture_loss
from recipes.orbit.config import OrbitConfig
from recipes.orbit.source import CELLS


def orbit_loss(
    model: GeoCLIP, given: Tensor, batch: Batch, places: Float[Tensor, "n 2"], config: TrainingConfig,
    progress: float, generator: torch.Generator,
) -> Float[Tensor, ""]:  # fmt: skip
    """An ``Objective``: GeoCLIP's loss, plus that of ``config.loss.cells`` random cells of each picture."""
    encoder = model.image_encoder
    if not isinstance(config, OrbitConfig) or not isinstance(encoder, CompactEncoder):
        raise ConfigError("cells need a configuration of this recipe and the compact image encoder")
    if not config.loss.cells:
        return contrastive_loss(model, given, batch, places, config, progress, generator)
    truths = torch.from_numpy(batch.coordinates).to(given.device)
    whole, cells = encoder.with_cells(given)  # [b, 3, h, w] -> [b, d], [b, grid * grid, d]
    chosen, cell_places = choose_cells(torch.from_numpy(batch.extra[CELLS]), config.loss.cells, generator)
    places, cell_places = places.to(given.device), cell_places.to(given.device)
    # One pass for all places: the shared candidates first, then each chosen cell's own.
    embeddings = model.encode_location(torch.cat([places, cell_places]).float())  # [n + p, d]
    shared, own = embeddings[: len(places)], embeddings[len(places) :]
    logits = model.logits(F.normalize(whole.float(), dim=1), shared)  # [b, n]
    picked = F.normalize(cells.flatten(0, 1)[chosen.to(given.device)].float(), dim=1)  # [p, d]
    with torch.autocast(given.device.type, enabled=False):
        of_cells = cell_loss(picked, own, shared, model.scale())
    return picture_loss(logits, truths, places, config.loss, progress) + of_cells


def cell_loss(
    cells: Float[Tensor, "p d"], own: Float[Tensor, "p d"], shared: Float[Tensor, "n d"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """One-hot loss of grid cells: each against its own place and the negatives the whole batch shares.

    All embeddings are unit rows. The picture's parts learn where they are, which teaches the trunk scale and rotation
    from every view instead of one place a view.
    """
    positive = (cells * own).sum(dim=1, keepdim=True)
    logits = scale * torch.cat([positive, cells @ shared.T], dim=1)
    return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def choose_cells(
    places: Float[Tensor, "b cells 2"], count: int, generator: torch.Generator
) -> tuple[Int[Tensor, " p"], Float[Tensor, "p 2"]]:
    """Flat indices of ``count`` random cells a picture, without those that see space, and their places."""
    pictures, cells = places.shape[:2]
    random = torch.rand(pictures, cells, generator=generator)
    picked = random.argsort(dim=1)[:, :count] + torch.arange(pictures)[:, None] * cells
    chosen = picked.flatten()
    own = places.flatten(0, 1)[chosen]
    seen = ~own.isnan().any(dim=1)
    return chosen[seen], own[seen]
