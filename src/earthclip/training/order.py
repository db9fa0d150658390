"""Which photo comes when: every epoch is a permutation drawn from the seed, batches follow one another through them.

No batch is cut short at the end of an epoch: the next one begins in it, so that every photo is seen once an epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, Shaped, UInt64


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """What is given to the image encoder (uint8 pictures or features), where it was, and what it is called."""

    given: Shaped[np.ndarray, "b ..."]
    coordinates: Float[np.ndarray, "b 2"]
    ids: list[str]


class Order:
    """The photos 0 to n - 1, in the order of training; a pure function of the seed and the step."""

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        self._n, self._batch_size, self._seed = n, batch_size, seed
        self._epochs: dict[int, Int64[np.ndarray, " n"]] = {}

    def batch(self, step: int) -> Int64[np.ndarray, " b"]:
        """The photos of ``step``, counted from 0."""
        first = step * self._batch_size
        positions = np.arange(first, first + self._batch_size)
        epochs = positions // self._n
        chosen = np.empty(len(positions), np.int64)
        for epoch in np.unique(epochs):
            mine = epochs == epoch
            chosen[mine] = self._permutation(int(epoch))[positions[mine] % self._n]
        return chosen

    def _permutation(self, epoch: int) -> Int64[np.ndarray, " n"]:
        if epoch not in self._epochs:
            for past in [known for known in self._epochs if known < epoch - 1]:
                del self._epochs[past]
            self._epochs[epoch] = np.random.default_rng([self._seed, 1, epoch]).permutation(self._n)
        return self._epochs[epoch]


def seeds_of(seed: int, step: int, n: int) -> UInt64[np.ndarray, " n"]:
    """A seed for each of the n photos of a step, whichever process it comes to."""
    return np.random.default_rng([seed, 2, step]).integers(0, 2**63, n, dtype=np.uint64)
