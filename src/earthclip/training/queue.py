"""The dynamic queue of GeoCLIP: earlier coordinates, kept as more negatives for the batch at hand."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from earthclip.geo.sphere import EARTH_RADIUS_KM


class CoordinateQueue:
    """The latest ``size`` coordinates (degrees), oldest overwritten first.

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
        kept = coordinates[-size:].to(self._ring.dtype)
        first = self._pushed + len(coordinates) - len(kept)
        self._ring[(first + torch.arange(len(kept))) % size] = kept
        self._pushed += len(coordinates)

    def state(self) -> dict[str, Tensor]:
        """Tensors that restore the queue exactly."""
        return {"ring": self._ring.clone(), "pushed": torch.tensor(self._pushed)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take back what ``state`` gave."""
        self._ring.copy_(state["ring"])
        self._pushed = int(state["pushed"])


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
