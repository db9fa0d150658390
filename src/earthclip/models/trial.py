"""The inputs that encoders are timed and compared on: the package's own pictures, and places over the sphere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earthclip.models.config import LOCATION_ENCODER, LOCATION_PHASES
from earthclip.models.fastest import PICTURES
from earthclip.models.folder import ModelFolder
from earthclip.models.onnx_runtime import Graph
from earthclip.pictures.prepare import prepare

PLACES = 1024
_BLOCKS = 4  # of places


@dataclass(frozen=True, eq=False)
class Trial:
    """What ways are timed and judged on: inputs run one after the other, and one of eight pictures at once."""

    alone: Sequence[np.ndarray]
    together: np.ndarray | None = None


def pictures(folder: ModelFolder) -> Trial:
    """The pictures that come with the package, one after the other and all at once."""
    paths = sorted(PICTURES.glob("*.jpg"))
    pixels = [prepare(path, folder.preprocessing).pixels for path in paths]
    return Trial(pixels, np.concatenate(pixels))


def places(folder: ModelFolder) -> Trial:
    """Blocks of 1,024 places, as what the location encoder's graph takes."""
    spots = spread(PLACES * _BLOCKS)
    if folder.has(LOCATION_PHASES):
        phases = Graph(folder.file(LOCATION_PHASES), "coordinates", "features")
        return Trial([phases.run(block) for block in np.split(spots, _BLOCKS)])
    folder.file(LOCATION_ENCODER)
    return Trial(np.split(spots, _BLOCKS))


def spread(count: int) -> Float[np.ndarray, "n 2"]:
    """So many places, evenly over the sphere (a Fibonacci lattice), in an order that mixes them."""
    number = np.random.default_rng(0).permutation(count)
    latitudes = np.degrees(np.arcsin(1 - (2 * number + 1) / count))
    longitudes = (number * 180 * (3 - np.sqrt(5))) % 360 - 180
    return np.stack([latitudes, longitudes], axis=1)
