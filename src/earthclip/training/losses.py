"""GeoCLIP's one-way objective: which of many places is this picture's?"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from earthclip.geo.sphere import EARTH_RADIUS_KM
from earthclip.training.config import LossConfig


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
    """Cross-entropy against softmax(-distance / tau): places near the truth are partly right.

    ``truths`` and ``places`` in degrees. The smoothing is PIGEON's (Haas et al., 2024), over places, not cells.
    """
    targets = torch.softmax(-_distances_km(truths, places) / tau_km, dim=1).float()
    return F.cross_entropy(logits.float(), targets)


def cell_loss(
    cells: Float[Tensor, "p d"], own: Float[Tensor, "p d"], shared: Float[Tensor, "n d"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """One-hot loss of grid cells: each against its own place and the negatives the whole batch shares.

    All embeddings are unit rows. Ours: the picture's parts learn where they are, which teaches the trunk scale and
    rotation from every view instead of one place a view.
    """
    positive = (cells * own).sum(dim=1, keepdim=True)
    logits = scale * torch.cat([positive, cells @ shared.T], dim=1)
    return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def annealed_tau_km(start_km: float, end_km: float, progress: float) -> float:
    """Geometric path from start to end as progress goes from 0 to 1."""
    return float(start_km * (end_km / start_km) ** progress)


def _distances_km(a: Float[Tensor, "b 2"], b: Float[Tensor, "n 2"]) -> Float[Tensor, "b n"]:
    first, second = torch.deg2rad(a.double()), torch.deg2rad(b.double())
    rise = torch.sin((first[:, None, 0] - second[None, :, 0]) / 2) ** 2
    turn = torch.sin((first[:, None, 1] - second[None, :, 1]) / 2) ** 2
    haversine = rise + torch.cos(first[:, None, 0]) * torch.cos(second[None, :, 0]) * turn
    return 2 * EARTH_RADIUS_KM * torch.asin(haversine.clamp(0, 1).sqrt())
