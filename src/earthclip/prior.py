"""Other priors than the model's own: what it believes before it sees the picture.

Scores are relative to the distribution the model was trained on, which for photographs means cities, coasts and
Europe. ``land`` takes that out: each part of the Earth where the gallery has places is then as probable as any other
of its size.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float64

from earthclip.errors import InputError
from earthclip.geo.cells import cell_centres, cell_of, cell_width_km
from earthclip.geo.local import local_grid
from earthclip.geo.place_cells import PlaceCells
from earthclip.posterior import Area, Posterior

Prior: TypeAlias = Literal["model", "land"]

_PLACES = 16  # that the typical place's cell should hold, or the density would be that of single places
_EVEN = "uniform over the land"  # how a model says in ``prior`` that its gallery has no density to divide out


def check_prior(prior: str) -> None:
    """Raise InputError unless ``prior`` is "model" or "land"."""
    if prior not in get_args(Prior):
        raise InputError(f"unknown prior '{prior}'; expected {' or '.join(get_args(Prior))}")


def log_prior(
    prior: str, stated: str, coordinates: Float64[np.ndarray, "m 2"], arranged: PlaceCells | None = None
) -> Float64[np.ndarray, " m"] | None:
    """What ``Posterior.reweighted`` takes for ``prior``; None where the model's own prior, ``stated``, is that already.

    "land" is minus the logarithm of the gallery's density. Raises InputError as ``check_prior`` does.
    """
    check_prior(prior)
    if prior == "model" or stated.startswith(_EVEN):
        return None
    return np.asarray(-np.log(density(arranged or PlaceCells.of(coordinates))))


def adjustment(
    prior: str,
    stated: str,
    coordinates: Float64[np.ndarray, "m 2"],
    region: Area | None = None,
    arranged: PlaceCells | None = None,
) -> Float64[np.ndarray, " m"] | None:
    """A prior and a region as one thing for ``Posterior.reweighted``, found once for many pictures; None for neither.

    Raises InputError for an unknown prior, and for a region that holds none of the places, naming it.
    """
    logs = log_prior(prior, stated, coordinates, arranged)
    if region is None:
        return logs
    before = np.zeros(len(coordinates)) if logs is None else logs
    return Posterior.from_logits(coordinates, before).within(region).log_probabilities


def density(arranged: PlaceCells) -> Float64[np.ndarray, " m"]:
    """The gallery's density at each of its places: places in its cell, half of the weight given to the cells around.

    The level is the deepest at which occupied cells hold 16 places on average. Half of a cell's own count and half of
    its neighbours' mean, and one place more for all: so that a lone place in the sea is not taken for an ocean.
    """
    ones = np.ones(len(arranged.order))
    level = next((deep for deep in range(12, -1, -1) if len(ones) >= _PLACES * len(arranged.sums(ones, deep)[0])), 0)
    cells, counts = arranged.sums(ones, level)
    around = cell_of(_around(cells, level).reshape(-1, 2), level).reshape(len(cells), -1)
    where = np.minimum(np.searchsorted(cells, around), len(cells) - 1)
    neighbours = np.where(cells[where] == around, counts[where], 0.0).mean(axis=1)
    smooth = 0.5 * counts + 0.5 * neighbours + 1.0
    found = np.empty(len(ones))
    found[arranged.order] = np.repeat(smooth, counts.astype(np.int64))
    return found


def _around(cells: np.ndarray, level: int) -> Float64[np.ndarray, "r 8 2"]:
    """A point in each of about eight cells around each cell."""
    width_km = cell_width_km(level)
    steps = [(east, north) for east in (-1, 0, 1) for north in (-1, 0, 1) if (east, north) != (0, 0)]
    return local_grid(cell_centres(cells, level), np.array(steps) * width_km)
