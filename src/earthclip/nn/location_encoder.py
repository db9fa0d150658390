"""The paper's location encoder (arXiv 2309.16020): Equal Earth, random Fourier features, a capsule a scale, summed.

latitude, longitude -> Equal Earth plane -> Fourier features at each scale -> an MLP for each scale -> their sum. The
first two steps are the *position*, which ``POSITIONS`` names: another one is a class and a line there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earthclip.errors import ModelError
from earthclip.nn.published import read_weights

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


class Position(nn.Module):
    """Degrees to features at one or more scales."""

    scales: int
    per_scale: int  # features of each

    def forward(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n f"]:
        """Latitude, longitude in degrees to the features of all scales, one scale after the other, float32."""
        raise NotImplementedError


class FourierFeatures(Position):
    """Gaussian random Fourier features at several scales, concatenated: [n, 2 * frequencies * len(sigmas)].

    For each sigma, cos and sin of 2 pi B x with B drawn once from N(0, sigma^2) (Tancik et al., 2020). The
    frequencies are saved with the weights.
    """

    frequencies: Tensor

    def __init__(
        self, sigmas: tuple[float, ...], frequencies: int, seed: int = 0, projection: nn.Module | None = None,
        axes: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        self.projection: nn.Module = projection or EqualEarth()
        self.scales, self.per_scale = len(sigmas), 2 * frequencies
        generator = torch.Generator().manual_seed(seed)
        drawn = [sigma * torch.randn(frequencies, axes, generator=generator) for sigma in sigmas]
        self.register_buffer("frequencies", torch.stack(drawn))  # [s, f, axes]

    def forward(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n f"]:
        """``coordinates``: latitude, longitude in degrees, float32 or float64; the features are float32."""
        with torch.autocast(coordinates.device.type, enabled=False):
            turns = 2 * math.pi * self.projection(coordinates)  # [n, 2] degrees -> [n, axes]
            phases = [turns @ scale.to(turns.dtype).T for scale in self.frequencies]  # [n, f] for each scale
            waves = [wave for phase in phases for wave in (torch.cos(phase), torch.sin(phase))]
            return torch.cat(waves, dim=1).float()  # [n, s * 2 * f]


@dataclass(frozen=True)
class LocationEncoderConfig:
    """The defaults are the published encoder's."""

    sigmas: tuple[float, ...] = (1.0, 16.0, 256.0)  # a capsule each, from continents to streets
    frequencies: int = 256  # per sigma; cos and sin of each
    width: int = 1024
    depth: int = 3  # hidden layers of a capsule
    position: str = "equal-earth"  # a name in POSITIONS


# By the name in the configuration; the second argument is the seed.
POSITIONS: dict[str, Callable[[LocationEncoderConfig, int], Position]] = {
    "equal-earth": lambda config, seed: FourierFeatures(config.sigmas, config.frequencies, seed),  # the paper's
    "sphere": lambda config, seed: FourierFeatures(config.sigmas, config.frequencies, seed, UnitVector(), axes=3),
}


class Capsules(nn.Module):
    """The network on top: each scale's features through its own MLP, the results summed."""

    def __init__(self, scales: int, features_per_scale: int, width: int, depth: int, embedding_size: int) -> None:
        super().__init__()
        self.features_per_scale = features_per_scale
        self.capsules = nn.ModuleList(_capsule(features_per_scale, width, depth, embedding_size) for _ in range(scales))

    def forward(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n d"]:
        """Fourier features, scale by scale, to embeddings (not normalised)."""
        parts = torch.split(features, self.features_per_scale, dim=1)  # [n, s * f] -> s times [n, f]
        outputs = [capsule(part) for capsule, part in zip(self.capsules, parts, strict=True)]  # s times [n, d]
        return torch.stack(outputs).sum(dim=0)  # [s, n, d] -> [n, d]


class LocationEncoder(nn.Module):
    """Coordinates to embeddings: a positional encoding, then a network; either can be swapped."""

    def __init__(self, config: LocationEncoderConfig, embedding_size: int, seed: int = 0) -> None:
        super().__init__()
        position = POSITIONS[config.position](config, seed)
        self.position: Position = position
        self.network: Capsules = Capsules(
            position.scales, position.per_scale, config.width, config.depth, embedding_size
        )

    @classmethod
    def from_pretrained(cls, source: str | Path = "geoclip") -> LocationEncoder:
        """The trained encoder of a model folder, or of a release folder of the published package; nothing downloads.

        Its weights take part in training wherever it is used; call ``requires_grad_(False)`` to freeze them. Raises
        ModelError when the source is not on this machine or has no weights to train on.
        """
        weights = read_weights(source)
        prefix = "location_encoder."
        own = {name.removeprefix(prefix): t for name, t in weights.tensors.items() if name.startswith(prefix)}
        return cls.from_weights(own, weights.sigmas, weights.origin)

    @classmethod
    def from_weights(cls, weights: dict[str, Tensor], sigmas: tuple[float, ...] | None, where: str) -> LocationEncoder:
        """An encoder of the sizes its weights have; ``sigmas`` only document them, and ``where`` names them in errors.

        Raises ModelError when the weights are of another shape than GeoCLIP's.
        """
        try:
            scales, count, _ = weights["position.frequencies"].shape
            layers = sorted(
                (int(name.split(".")[3]), name) for name in weights
                if name.startswith("network.capsules.0.") and name.endswith(".weight")
            )  # fmt: skip
            first, last = weights[layers[0][1]], weights[layers[-1][1]]
            config = LocationEncoderConfig(sigmas or (0.0,) * scales, count, len(first), len(layers) - 1)
            encoder = cls(config, len(last))
            encoder.load_state_dict(weights)
        except (KeyError, ValueError, IndexError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise ModelError(f"{where}: its location encoder is not GeoCLIP's ({reason}); get it again") from error
        return encoder.eval()

    def forward(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n d"]:
        """Degrees (latitude, longitude) to embeddings (not normalised)."""
        embeddings: Tensor = self.network(self.position(coordinates))
        return embeddings


def _capsule(features: int, width: int, depth: int, embedding_size: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    size = features
    for _ in range(depth):
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, embedding_size))
