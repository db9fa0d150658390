"""What is compared: features of coordinates that nothing has learned, and those of a model's location encoder.

Each takes degrees ``[n,2]`` (latitude, longitude) to float64 ``[n,d]``. The sizes of the unlearned ones are those that
did best on most of the benchmark's own tasks, so the comparison leans towards them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Num

from earthclip.errors import InputError
from earthclip.geo.sphere import unit_vectors

FREQUENCIES = 256  # each gives a cosine and a sine, so 512 numbers: as many as the published encoder's
SIGMA = 4.0  # spread of the frequencies, in cycles per 180 degrees; of 1, 2, 3, 4, 6 and 8
DEGREE = 20  # (20 + 1)² = 441 harmonics, the finest 18 degrees long; of 10, 15, 20 and 30


@runtime_checkable  # so that the checks of signatures in tests can see it
class EncodesLocations(Protocol):
    """What is asked of a model; a Locator is one."""

    @property
    def name(self) -> str:
        """What the model calls itself."""

    def encode_location(
        self, coordinates: Num[np.ndarray, "n 2"] | Sequence[Sequence[float]], /
    ) -> Float[np.ndarray, "n d"]:
        """Unit embeddings of (latitude, longitude) in degrees."""


@dataclass(frozen=True)
class Encoding:
    """A named way to turn degrees [n,2] into features [n,d]."""

    name: str
    encode: Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n d"]]


def raw_coordinates(coordinates: Num[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Latitude and longitude as they are."""
    return np.asarray(coordinates, dtype=np.float64)


def fourier_features(
    coordinates: Num[np.ndarray, "n 2"], frequencies: int = FREQUENCIES, sigma: float = SIGMA, seed: int = 0
) -> Float[np.ndarray, "n d"]:
    """Cosines and sines of 2 pi B x, d = 2 * frequencies, x in units of 180 degrees, B normal of spread ``sigma``.

    The map of Tancik et al., "Fourier features let networks learn high frequency functions" (2020), with no network.
    """
    directions = np.random.default_rng(seed).normal(0.0, sigma, (2, frequencies))
    phases = 2.0 * np.pi * (raw_coordinates(coordinates) / 180.0) @ directions
    return np.concatenate([np.cos(phases), np.sin(phases)], axis=1)


def spherical_harmonics(coordinates: Num[np.ndarray, "n 2"], degree: int = DEGREE) -> Float[np.ndarray, "n d"]:
    """Real spherical harmonics of degree 0 to ``degree``, d = (degree + 1)², orthonormal on the unit sphere.

    In the order l*l + l + m, for degree l and order m from -l (sines) to l (cosines), without the Condon-Shortley
    phase. Raises InputError for a negative degree. The recursion is Holmes and Featherstone's for fully normalised
    Legendre functions, Journal of Geodesy 76 (2002), equation 11.
    """
    if degree < 0:
        raise InputError(f"spherical harmonics of degree {degree} do not exist; choose 0 or more")
    x, y, z = unit_vectors(coordinates).T
    longitude, across = np.arctan2(y, x), np.hypot(x, y)
    features = np.empty((len(z), (degree + 1) ** 2))
    sectoral = np.full(len(z), np.sqrt(0.25 / np.pi))
    for m in range(degree + 1):
        if m:
            sectoral = sectoral * across * np.sqrt((2 * m + 1) / (2 * m))
        before, current = np.zeros_like(z), sectoral
        for n in range(m, degree + 1):
            if n > m:
                a = np.sqrt((2 * n - 1) * (2 * n + 1) / ((n - m) * (n + m)))
                # b belongs to the function two degrees below, which does not exist at n = m + 1
                b = np.sqrt((2 * n + 1) * (n + m - 1) * (n - m - 1) / ((n - m) * (n + m) * (2 * n - 3))) if n > 1 else 0
                before, current = current, a * z * current - b * before
            column = n * n + n
            if m == 0:
                features[:, column] = current
            else:
                features[:, column + m] = np.sqrt(2.0) * current * np.cos(m * longitude)
                features[:, column - m] = np.sqrt(2.0) * current * np.sin(m * longitude)
    return features


def baselines() -> list[Encoding]:
    """The encodings that learned nothing, simplest first."""
    return [
        Encoding("coordinates", raw_coordinates),
        Encoding("Fourier features", fourier_features),
        Encoding("spherical harmonics", spherical_harmonics),
    ]


def model_encoding(model: EncodesLocations, name: str | None = None) -> Encoding:
    """The location encoder of a model, under ``name`` or else the model's own."""

    def encode(coordinates: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n d"]:
        return np.asarray(model.encode_location(coordinates), dtype=np.float64)

    return Encoding(name or model.name, encode)
