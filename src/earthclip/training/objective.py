"""The loss of one batch: noisy places and the queue's against the pictures and, if asked for, their cells."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from earthclip.errors import ConfigError
from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.image_encoder import CompactEncoder
from earthclip.training.config import TrainingConfig
from earthclip.training.losses import cell_loss, picture_loss
from earthclip.training.pixels import to_tensor
from earthclip.training.queue import CoordinateQueue, add_noise
from earthclip.training.rendering.sampler import Batch


def batch_loss(
    model: GeoCLIP,
    queue: CoordinateQueue,
    batch: Batch,
    config: TrainingConfig,
    step: int,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """The objective of ``config`` on one batch; all that is random is drawn from ``generator``."""
    truths = torch.from_numpy(batch.coordinates)
    places = torch.cat(
        [
            add_noise(truths, config.queue.batch_noise_m, generator),
            add_noise(queue.coordinates, config.queue.queue_noise_m, generator),
        ]
    )
    pixels = to_tensor(batch.pixels)
    if not config.loss.cells:
        return picture_loss(model(pixels, places.float()), truths, places, config.loss, step / config.steps)
    encoder = model.image_encoder
    if not isinstance(encoder, CompactEncoder):
        raise ConfigError("loss.cells needs an image encoder that keeps a grid of cells; set it to 0")
    whole, cells = encoder.with_cells(pixels)
    chosen, cell_places = _choose_cells(batch, config.loss.cells, generator)
    # One pass for all places: the shared candidates first, then each chosen cell's own.
    embeddings = model.encode_location(torch.cat([places, cell_places]).float())
    shared, own = embeddings[: len(places)], embeddings[len(places) :]
    logits = model.logits(F.normalize(whole.float(), dim=1), shared)
    picked = F.normalize(cells.flatten(0, 1)[chosen].float(), dim=1)
    with torch.autocast("cpu", enabled=False):
        cells_loss = cell_loss(picked, own, shared, model.scale())
    return picture_loss(logits, truths, places, config.loss, step / config.steps) + cells_loss


def _choose_cells(
    batch: Batch, count: int, generator: torch.Generator
) -> tuple[Int[Tensor, " p"], Float[Tensor, "p 2"]]:
    """Flat indices of ``count`` random cells a picture, without those that see space, and their places."""
    places = torch.from_numpy(batch.cell_coordinates)
    pictures, cells = places.shape[:2]
    random = torch.rand(pictures, cells, generator=generator)
    picked = random.argsort(dim=1)[:, :count] + torch.arange(pictures)[:, None] * cells
    chosen = picked.flatten()
    own = places.flatten(0, 1)[chosen]
    seen = ~own.isnan().any(dim=1)
    return chosen[seen], own[seen]
