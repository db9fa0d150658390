"""GeoCLIP's objective: which of many places is this picture's? With the queue of earlier places, and metre noise.

Places are cheap and pictures are not. Every process encodes all places of the whole batch and the queue, under the same
noise, and its own pictures. The loss is one-way, so the mean of the processes' losses is that of the whole batch.
"""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from earthclip.geo.sphere import EARTH_RADIUS_KM
from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.config import LossConfig, QueueConfig, TrainingConfig
from earthclip.training.source import Batch


class Objective(Protocol):
    """What a run minimises; ``contrastive_loss`` is GeoCLIP's."""

    def __call__(
        self, model: GeoCLIP, given: Tensor, batch: Batch, places: Float[Tensor, "n 2"], config: TrainingConfig,
        progress: float, generator: torch.Generator,
    ) -> Float[Tensor, ""]:  # fmt: skip
        """The loss of one process's share of a batch.

        ``given`` is ``batch.given`` on the device, ``places`` are candidates in degrees of which the first ``b`` are
        those of the batch, ``progress`` rises from 0 to 1 over the run. What is random is drawn from ``generator``.
        """
        ...


def contrastive_loss(
    model: GeoCLIP, given: Tensor, batch: Batch, places: Float[Tensor, "n 2"], config: TrainingConfig,
    progress: float, generator: torch.Generator,
) -> Float[Tensor, ""]:  # fmt: skip
    """Cross-entropy of every picture against all candidates: those of the batch and those of the queue."""
    places = places.to(given.device)
    truths = torch.from_numpy(batch.coordinates).to(given.device)  # [b, 2], without noise
    images = model.encode_image(given)  # [b, 3, h, w] or [b, width] -> [b, d]
    candidates = model.encode_location(places.float())  # [n, 2] -> [n, d]
    logits = model.logits(images, candidates)  # [b, n]
    return picture_loss(logits, truths, places, config.loss, progress)


def picture_loss(
    logits: Float[Tensor, "b n"],
    truths: Float[Tensor, "b 2"],
    places: Float[Tensor, "n 2"],
    config: LossConfig,
    progress: float,
) -> Float[Tensor, ""]:
    """The loss of pictures that ``config`` asks for, when ``progress`` (0 to 1) of the run is done."""
    if config.targets == "one-hot":
        return one_hot_loss(logits)
    tau_km = annealed_tau_km(config.tau_start_km, config.tau_end_km, progress)
    return distance_loss(logits, truths, places, tau_km)


def one_hot_loss(logits: Float[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Cross-entropy with place i as the answer to picture i, as in the paper; n >= b, the rest are negatives."""
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def distance_loss(
    logits: Float[Tensor, "b n"], truths: Float[Tensor, "b 2"], places: Float[Tensor, "n 2"], tau_km: float
) -> Float[Tensor, ""]:
    """Cross-entropy against softmax(-distance / tau): places near the ground truth are partly right.

    ``truths`` and ``places`` in degrees. The smoothing is PIGEON's (Haas et al., 2024), over places, not cells.
    """
    targets = torch.softmax(-_distances_km(truths, places) / tau_km, dim=1).float()  # [b, n]
    return F.cross_entropy(logits.float(), targets)


def annealed_tau_km(start_km: float, end_km: float, progress: float) -> float:
    """Geometric path from start to end as progress goes from 0 to 1."""
    return float(start_km * (end_km / start_km) ** progress)


class CoordinateQueue:
    """The latest ``size`` coordinates (degrees), oldest overwritten first: more negatives for the batch at hand.

    It starts empty, unlike the published one, whose initial noise is thousands of false negatives near (0, 0).
    """

    def __init__(self, size: int) -> None:
        self._ring = torch.zeros(size, 2, dtype=torch.float64)
        self._pushed = 0

    def __len__(self) -> int:
        return min(self._pushed, len(self._ring))

    @property
    def coordinates(self) -> Float[Tensor, "q 2"]:
        """What the queue holds now, in no particular order."""
        return self._ring[: len(self)]

    def push(self, coordinates: Float[Tensor, "b 2"]) -> None:
        """Take a batch in; of one larger than the queue, the last ``size`` stay."""
        size = len(self._ring)
        if size == 0:
            return
        newest = coordinates[-size:].to(self._ring.dtype)
        first = self._pushed + len(coordinates) - len(newest)
        self._ring[(first + torch.arange(len(newest))) % size] = newest
        self._pushed += len(coordinates)

    def state(self) -> dict[str, Tensor]:
        """Tensors that restore the queue exactly."""
        return {"ring": self._ring.clone(), "pushed": torch.tensor(self._pushed)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take back what ``state`` gave."""
        self._ring.copy_(state["ring"])
        self._pushed = int(state["pushed"])


def noisy_places(
    coordinates: Float[Tensor, "n 2"], queue: CoordinateQueue, config: QueueConfig, first: int,
    generator: torch.Generator,
) -> Float[Tensor, "m 2"]:  # fmt: skip
    """All candidates, in degrees: the batch's from its ``first`` on, those before it, the queue's.

    The noise is drawn before they are turned about, so that each place has the same in every process.
    """
    batch = add_noise(coordinates, config.batch_noise_m, generator)
    return torch.cat([batch.roll(-first, dims=0), add_noise(queue.coordinates, config.queue_noise_m, generator)])


def add_noise(coordinates: Float[Tensor, "n 2"], noise_m: float, generator: torch.Generator) -> Float[Tensor, "n 2"]:
    """Move each coordinate by |N(0, noise_m)| metres in a random direction, right at the poles and the antimeridian.

    Small steps on the tangent plane of the unit sphere, so the longitude's shrinking with latitude is accounted for.
    """
    if noise_m == 0 or len(coordinates) == 0:
        return coordinates
    latitude, longitude = torch.deg2rad(coordinates.double()).unbind(1)
    vectors = torch.stack([latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()], dim=1)
    step = torch.randn(vectors.shape, generator=generator, dtype=torch.float64)
    step -= (step * vectors).sum(1, keepdim=True) * vectors
    step /= step.norm(dim=1, keepdim=True)
    reach = torch.randn(len(vectors), 1, generator=generator, dtype=torch.float64) * (
        noise_m / (1000 * EARTH_RADIUS_KM)
    )
    x, y, z = (reach.cos() * vectors + reach.sin() * step).unbind(1)
    return torch.rad2deg(torch.stack([torch.atan2(z, torch.hypot(x, y)), torch.atan2(y, x)], dim=1))


def _distances_km(a: Float[Tensor, "b 2"], b: Float[Tensor, "n 2"]) -> Float[Tensor, "b n"]:
    first, second = torch.deg2rad(a.double()), torch.deg2rad(b.double())
    rise = torch.sin((first[:, None, 0] - second[None, :, 0]) / 2) ** 2
    turn = torch.sin((first[:, None, 1] - second[None, :, 1]) / 2) ** 2
    haversine = rise + torch.cos(first[:, None, 0]) * torch.cos(second[None, :, 0]) * turn
    return 2 * EARTH_RADIUS_KM * torch.asin(haversine.clamp(0, 1).sqrt())
