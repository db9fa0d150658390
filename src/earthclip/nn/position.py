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

    Projection: Savric, Patterson and Jenny, 2018; scale: the published GeoCLIP code (66.50336 / 180).
    """

    def forward(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """``coordinates``: latitude, longitude in degrees."""
        latitude, longitude = torch.deg2rad(coordinates).unbind(dim=1)
        sine = math.sqrt(3) / 2 * torch.sin(latitude)
        theta = torch.asin(sine)
        squared = theta * theta
        sixth = squared * squared * squared
        denominator = 3 * (9 * _A4 * squared * sixth + 7 * _A3 * sixth + 3 * _A2 * squared + _A1)
        x = 2 * math.sqrt(3) * longitude * torch.cos(theta) / denominator
        y = theta * (_A4 * squared * sixth + _A3 * sixth + _A2 * squared + _A1)
        return torch.stack([x, y], dim=1) * (_SCALE / 180)


class FourierFeatures(nn.Module):
    """Gaussian random Fourier features at several scales, concatenated: [n, 2 * frequencies * len(sigmas)].

    For each sigma, cos and sin of 2 pi B x with B drawn once from N(0, sigma^2) (Tancik et al., 2020). The
    frequencies are saved with the weights.
    """

    frequencies: Tensor

    def __init__(self, sigmas: tuple[float, ...], frequencies: int, seed: int = 0) -> None:
        super().__init__()
        self.projection = EqualEarth()
        self.per_sigma = 2 * frequencies
        generator = torch.Generator().manual_seed(seed)
        drawn = [sigma * torch.randn(frequencies, 2, generator=generator) for sigma in sigmas]
        self.register_buffer("frequencies", torch.stack(drawn))  # [s, f, 2]

    def forward(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n f"]:
        """``coordinates``: latitude, longitude in degrees, float32 or float64; the features are float32."""
        with torch.autocast(coordinates.device.type, enabled=False):
            plane = self.projection(coordinates)
            phases = 2 * math.pi * torch.einsum("nc,sfc->nsf", plane, self.frequencies.to(plane.dtype))
            waves = torch.cat([torch.cos(phases), torch.sin(phases)], dim=2)
            return waves.flatten(1).float()
