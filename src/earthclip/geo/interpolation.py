"""Values of HEALPix cells at any place: the four cell centres around it, and their weights."""

from __future__ import annotations

import healpix
import numpy as np
from jaxtyping import Float64, Int64

_TWO_THIRDS = 2.0 / 3.0  # |sine of latitude| up to which every ring has 4 * sides cells


def interpolation(
    coordinates: Float64[np.ndarray, "n 2"], level: int
) -> tuple[Int64[np.ndarray, "n 4"], Float64[np.ndarray, "n 4"]]:
    """Nested numbers of the cells around each place, in degrees, and weights that sum to 1: bilinear interpolation.

    Linear in longitude between two centres of the ring of cells to the north and two of the ring to the south, then
    linear in latitude between the rings. Between a pole and the ring around it, that ring alone counts. The rings are
    those of Górski et al. (2005), section 4.
    """
    sides = 1 << level
    latitude, longitude = np.radians(coordinates).T
    sine = np.sin(latitude)
    belt = np.floor(sides * (2.0 - 1.5 * sine))
    cap = np.floor(sides * np.sqrt(3.0 * (1.0 - np.abs(sine))))
    north = np.where(np.abs(sine) <= _TWO_THIRDS, belt, np.where(sine > 0, cap, 4 * sides - cap - 1)).astype(np.int64)
    cells, weights, latitudes = [], [], []
    for ring in (np.maximum(north, 1), np.minimum(north + 1, 4 * sides - 1)):
        first, count, shift, height = _ring(ring, sides)
        turn = (longitude % (2 * np.pi)) * count / (2 * np.pi) - shift
        west = np.floor(turn)
        east_weight = turn - west
        west = west.astype(np.int64)
        cells += [first + west % count, first + (west + 1) % count]
        weights += [1.0 - east_weight, east_weight]
        latitudes.append(np.arcsin(height))
    span = latitudes[0] - latitudes[1]
    southern = np.clip(np.divide(latitudes[0] - latitude, span, out=np.zeros_like(span), where=span > 0), 0.0, 1.0)
    share = np.stack([1.0 - southern, 1.0 - southern, southern, southern], axis=1)
    nested = healpix.ring2nest(sides, np.stack(cells, axis=1))
    return np.asarray(nested, dtype=np.int64), np.stack(weights, axis=1) * share


def _ring(ring: np.ndarray, sides: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of rings counted from the north, 1 on: first cell, number of cells, turn of its centre, sine of latitude."""
    from_pole = np.minimum(ring, 4 * sides - ring)
    count = 4 * np.minimum(from_pole, sides)
    in_cap, south = from_pole < sides, ring > 2 * sides
    cells = 12 * sides**2
    before_cap = 2 * from_pole * (from_pole - 1)
    first = np.where(
        in_cap,
        np.where(south, cells - 2 * from_pole * (from_pole + 1), before_cap),
        2 * sides * (sides - 1) + (ring - sides) * 4 * sides,
    )
    shift = np.where(in_cap | ((ring - sides) % 2 == 0), 0.5, 0.0)
    cap_height = (1.0 - from_pole**2 / (3.0 * sides**2)) * np.where(south, -1.0, 1.0)
    return first, count, shift, np.where(in_cap, cap_height, (2 * sides - ring) * _TWO_THIRDS / sides)
