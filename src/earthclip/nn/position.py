"""Coordinates to Fourier features: the half of the location encoder that has no learned weights.

At the published largest sigma the phases reach thousands of radians, where bfloat16 has no digit left; so this part
always computes in float32 or better, whatever precision the network on top is run in.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796
_SCALE = 66.50336


class EqualEarth(nn.Module):
    """Degrees to GeoCLIP's scaled Equal Earth plane: x and y within about [-1, 1] and [-0.5, 0.5].

    Projection: Savric, Patterson and Jenny, 2018; scale: the published GeoCLIP code (66.50336 / 180). In the published
    order of operations: at the finest scale a last bit of x moves the phases by 1e-3.
    """

    def forward(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """``coordinates``: latitude, longitude in degrees."""
        latitude, longitude = torch.deg2rad(coordinates).unbind(dim=1)
        root3 = torch.sqrt(torch.tensor(3.0, dtype=coordinates.dtype, device=coordinates.device))
        theta = torch.asin(root3 / 2 * torch.sin(latitude))
        slope = 3 * (9 * _A4 * theta**8 + 7 * _A3 * theta**6 + 3 * _A2 * theta**2 + _A1)
        x = 2 * root3 * longitude * torch.cos(theta) / slope
        y = _A4 * theta**9 + _A3 * theta**7 + _A2 * theta**3 + _A1 * theta
        return torch.stack([x, y], dim=1) * _SCALE / 180


class UnitVector(nn.Module):
    """Degrees to the unit vector over pi: a sigma spans as many km as on the Equal Earth plane, without its seam."""

    def forward(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
        """``coordinates``: latitude, longitude in degrees."""
        latitude, longitude = torch.deg2rad(coordinates).unbind(dim=1)
        across = torch.cos(latitude)
        vector = [across * torch.cos(longitude), across * torch.sin(longitude), torch.sin(latitude)]
        return torch.stack(vector, dim=1) / math.pi


class FourierFeatures(nn.Module):
    """Gaussian random Fourier features at several scales, concatenated: [n, 2 * frequencies * len(sigmas)].

    For each sigma, cos and sin of 2 pi B x with B drawn once from N(0, sigma^2) (Tancik et al., 2020). The
    frequencies are saved with the weights.
    """

    frequencies: Tensor

    def __init__(self, sigmas: tuple[float, ...], frequencies: int, seed: int = 0, *, sphere: bool = False) -> None:
        super().__init__()
        self.projection: EqualEarth | UnitVector = UnitVector() if sphere else EqualEarth()
        self.per_sigma = 2 * frequencies
        generator = torch.Generator().manual_seed(seed)
        axes = 3 if sphere else 2
        drawn = [sigma * torch.randn(frequencies, axes, generator=generator) for sigma in sigmas]
        self.register_buffer("frequencies", torch.stack(drawn))  # [s, f, axes]

    def forward(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n f"]:
        """``coordinates``: latitude, longitude in degrees, float32 or float64; the features are float32."""
        with torch.autocast(coordinates.device.type, enabled=False):
            turns = 2 * math.pi * self.projection(coordinates)
            phases = [turns @ scale.to(turns.dtype).T for scale in self.frequencies]
            waves = [wave for phase in phases for wave in (torch.cos(phase), torch.sin(phase))]
            return torch.cat(waves, dim=1).float()
