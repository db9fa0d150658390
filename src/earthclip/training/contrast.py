"""GeoCLIP's objective on photos or features, with the batch in one process or shared out among many.

Places are cheap and pictures are not: every process encodes all places of the whole batch and the queue, under the
same noise, and its own pictures. The loss is one-way, so the mean of the processes' losses is the whole batch's.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.config import TrainingConfig
from earthclip.training.losses import picture_loss
from earthclip.training.queue import CoordinateQueue, add_noise


def noisy_places(
    coordinates: Float[Tensor, "n 2"],
    queue: CoordinateQueue,
    config: TrainingConfig,
    first: int,
    generator: torch.Generator,
) -> Float[Tensor, "m 2"]:
    """All candidates, in degrees: the batch's from its ``first`` on, those before it, the queue's.

    The noise is drawn before they are turned about, so that each place has the same in every process.
    """
    batch = add_noise(coordinates, config.queue.batch_noise_m, generator)
    return torch.cat([batch.roll(-first, dims=0), add_noise(queue.coordinates, config.queue.queue_noise_m, generator)])


class Contrast(nn.Module):
    """The loss of pictures or features against places, as a module: what processes compute and average gradients of."""

    def __init__(self, model: GeoCLIP, config: TrainingConfig) -> None:
        super().__init__()
        self.model = model
        self._config = config

    def forward(
        self, given: Tensor, truths: Float[Tensor, "b 2"], places: Float[Tensor, "m 2"], step: int
    ) -> Float[Tensor, ""]:
        """``given``: pixels or features; place i of ``places``, in degrees, is that of picture i."""
        images = self.model.encode_image(given)
        logits = self.model.logits(images, self.model.encode_location(places.to(given.device, torch.float32)))
        return picture_loss(
            logits, truths.to(given.device), places.to(given.device), self._config.loss, step / self._config.steps
        )
