"""Scores to probabilities: the posterior over the gallery, priors other than the model's, regions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from earthclip.errors import InputError
from earthclip.geo.cells import PlaceCells, cells_around
from earthclip.models.config import Calibration


@runtime_checkable  # so that the checks of signatures in tests can see it
class Area(Protocol):
    """What is asked of a region; ``earthclip.geo.regions.Region`` is one."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def fingerprint(self) -> str:
        """What tells it from another area of the same name, such as a hash of its outline."""

    def contains(self, coordinates: Float64[np.ndarray, "n 2"]) -> Any:
        """Whether each of the coordinates, in degrees, lies inside: bool [n]."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Places ``coordinates`` [m, 2] in degrees and their natural ``log_probabilities`` [m], which sum to 1.

    ``calibration`` is what was measured of the model's probabilities, None where nothing was; ``arranged`` are the
    places' cells, where they were found already. ``share`` is the probability that the places now left had before a
    region or a prior ruled others out.
    """

    coordinates: Float64[np.ndarray, "m 2"]
    log_probabilities: Float64[np.ndarray, " m"]
    calibration: Calibration | None = None
    arranged: PlaceCells | None = field(default=None, repr=False)
    share: float = 1.0

    @classmethod
    def from_logits(
        cls,
        coordinates: Float64[np.ndarray, "m 2"],
        logits: Float[np.ndarray, " m"],
        temperature: float = 1.0,
        calibration: Calibration | None = None,
        arranged: PlaceCells | None = None,
    ) -> Posterior:
        """softmax(logits / temperature) over the places, in float64.

        Raises InputError for a temperature that is not above 0, no places, or logits that are not finite.
        """
        if not (np.isfinite(temperature) and temperature > 0):
            raise InputError(f"temperature must be above 0, found {temperature}")
        if logits.size == 0 or not np.isfinite(logits).all():
            raise InputError(f"expected one finite score for each of at least 1 place, found {logits.size} scores")
        # Shifted before dividing: the largest becomes exactly 0 and no temperature can overflow it.
        shifted = (logits.astype(np.float64) - float(logits.max())) / temperature
        return cls(coordinates, normalised(shifted), calibration, arranged)

    def reweighted(self, log_prior: Float64[np.ndarray, " m"]) -> Posterior:
        """The posterior under another prior: each place's probability times exp(``log_prior``), normalised.

        ``log_prior`` [m] is the logarithm of the new prior's ratio to the model's own, up to a constant; -inf rules a
        place out. Raises InputError when it is not one number for each place, or rules out all.
        """
        if log_prior.shape != self.log_probabilities.shape or np.isnan(log_prior).any() or (log_prior == np.inf).any():
            places = len(self.log_probabilities)
            raise InputError(f"a log prior needs one number below infinity for each of {places:,} places")
        logs = self.log_probabilities + log_prior
        if not np.isfinite(logs).any():
            raise InputError("the prior rules out every place; expected at least one that it allows")
        return self._left(logs, np.isfinite(logs))

    def within(self, region: Area) -> Posterior:
        """The posterior given that the truth lies in ``region``: the places outside get 0, the others sum to 1.

        Raises InputError, naming the region, when it holds none of the places.
        """
        inside = np.asarray(region.contains(self.coordinates), dtype=bool)
        logs = np.where(inside, self.log_probabilities, -np.inf)
        if not np.isfinite(logs).any():
            raise InputError(
                f"region '{region.name}' holds none of the {len(inside):,} places the model knows; choose a larger one"
            )
        return self._left(logs, inside)

    def _left(self, logs: Float64[np.ndarray, " m"], left: Bool[np.ndarray, " m"]) -> Posterior:
        share = self.share if left.all() else self.share * float(self.probabilities[left].sum())
        # How sure the model is of the picture is not changed by what a region rules out.
        calibration = self.calibration_here
        return replace(self, log_probabilities=normalised(logs), calibration=calibration, share=share)

    @property
    def calibration_here(self) -> Calibration | None:
        """The calibration for pictures of which the model is as sure as of this one."""
        if self.calibration is None or self.calibration.bins is None:
            return self.calibration
        return self.calibration.at(self.entropy())

    @cached_property
    def place_cells(self) -> PlaceCells:
        """The cells of the places, found when first asked for."""
        return self.arranged or PlaceCells.of(self.coordinates)

    @cached_property
    def probabilities(self) -> Float64[np.ndarray, " m"]:
        """exp of the log probabilities."""
        return np.asarray(np.exp(self.log_probabilities))

    def top_k(self, k: int) -> tuple[Float64[np.ndarray, "k 2"], Float64[np.ndarray, " k"]]:
        """The ``k`` most probable places, best first, and their probabilities; equal ones in the gallery's order.

        They are fewer than ``k`` where a region or a prior leaves fewer. Raises InputError when ``k`` is below 1 or
        above the number of places.
        """
        best = self.best(k)
        return self.coordinates[best], np.exp(self.log_probabilities[best])

    def best(self, k: int) -> Int[np.ndarray, " k"]:
        """Indices of what ``top_k`` gives; raises as it does."""
        check_top_k(k, len(self.log_probabilities))
        return self._best_first(min(k, int(np.isfinite(self.log_probabilities).sum())))

    def credible_region(self, mass: float) -> Int[np.ndarray, " r"]:
        """Indices of the fewest places that together hold at least ``mass`` (in (0, 1]), best first."""
        if not 0 < mass <= 1:
            raise InputError(f"mass must be above 0 and at most 1, found {mass}")
        order = self._best_first(len(self.log_probabilities))
        held = np.cumsum(np.exp(self.log_probabilities[order]))
        count = int(np.searchsorted(held, mass * held[-1])) + 1
        return order[: min(count, len(order))]

    def entropy(self) -> float:
        """Shannon entropy in nats: 0 when certain, log(m) when every place is as probable."""
        p = self.probabilities
        return max(0.0, float(-(p * np.where(p > 0, self.log_probabilities, 0.0)).sum()))

    def _best_first(self, k: int) -> Int[np.ndarray, " k"]:
        scores = self.log_probabilities
        # Everything not below the k-th best, so that equal scores are settled by index, not by the partition.
        kth = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= kth)
        return candidates[np.argsort(-scores[candidates], kind="stable")][:k]


def normalised(logs: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
    """``logs``, of which one is finite, less the logarithm of the sum of their exponentials."""
    shifted = logs - logs.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def check_top_k(k: int, places: int) -> None:
    """Raise InputError unless 1 <= ``k`` <= ``places``."""
    if not 1 <= k <= places:
        raise InputError(f"top_k is {k}; expected 1 to {places:,}, the number of places the model knows")


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
    around = cells_around(cells, level)
    where = np.minimum(np.searchsorted(cells, around), len(cells) - 1)
    neighbours = np.where(cells[where] == around, counts[where], 0.0).mean(axis=1)
    smooth = 0.5 * counts + 0.5 * neighbours + 1.0
    found = np.empty(len(ones))
    found[arranged.order] = np.repeat(smooth, counts.astype(np.int64))
    return found
