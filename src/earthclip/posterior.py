"""Scores over places as a probability distribution, normalised exactly.

Contrastive scores estimate a density ratio to the training distribution, so that the softmax over a gallery drawn
from it is already the posterior under that prior (the model's ``prior``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from earthclip.errors import InputError


@dataclass(frozen=True, eq=False)
class Posterior:
    """Places ``coordinates`` [m, 2] in degrees and their natural ``log_probabilities`` [m], which sum to 1."""

    coordinates: Float64[np.ndarray, "m 2"]
    log_probabilities: Float64[np.ndarray, " m"]

    @classmethod
    def from_logits(
        cls, coordinates: Float64[np.ndarray, "m 2"], logits: Float[np.ndarray, " m"], temperature: float = 1.0
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
        return cls(coordinates, shifted - np.log(np.exp(shifted).sum()))

    @property
    def probabilities(self) -> Float64[np.ndarray, " m"]:
        """exp of the log probabilities."""
        return np.asarray(np.exp(self.log_probabilities))

    def top_k(self, k: int) -> tuple[Float64[np.ndarray, "k 2"], Float64[np.ndarray, " k"]]:
        """The ``k`` most probable places, best first, and their probabilities; equal ones in the gallery's order.

        Raises InputError when ``k`` is below 1 or above the number of places.
        """
        check_top_k(k, len(self.log_probabilities))
        best = self._best_first(k)
        return self.coordinates[best], np.exp(self.log_probabilities[best])

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


def check_top_k(k: int, places: int) -> None:
    """Raise InputError unless 1 <= ``k`` <= ``places``."""
    if not 1 <= k <= places:
        raise InputError(f"top_k is {k}; expected 1 to {places:,}, the number of places the model knows")
