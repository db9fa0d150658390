"""A similarity of photos in which what all photos of an index have in common counts less.

Embeddings of one library are alike because of their camera, their colours or their season. Their mean is subtracted,
and directions in which they differ much anyway are made shorter. What is left tells places apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

_SHRUNK = 0.1  # of the mean variance, added in every direction: without it, noise counts as much as anything
_MOST = 20_000  # rows that are looked at


@dataclass(frozen=True, eq=False)
class Whitening:
    """What is done to embeddings before they are compared: ``mean`` [d] is subtracted, ``matrix`` [d, d] applied."""

    mean: Float32[np.ndarray, " d"]
    matrix: Float32[np.ndarray, "d d"]

    @classmethod
    def of(cls, embeddings: Float[np.ndarray, "n d"]) -> Whitening:
        """The whitening of these embeddings, one row or more; of more than 20,000, a part spread evenly is used."""
        chosen = np.linspace(0, len(embeddings) - 1, min(_MOST, len(embeddings))).astype(np.int64)
        rows = np.asarray(embeddings[chosen], np.float32)
        mean = rows.mean(axis=0)
        rows = rows - mean
        variances, directions = np.linalg.eigh(np.asarray(rows.T @ rows / len(rows), np.float64))
        shrunk = np.maximum(variances, 0.0) + _SHRUNK * variances.mean() + 1e-12
        return cls(mean, np.asarray(directions / np.sqrt(shrunk), np.float32))

    def __call__(self, embeddings: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """Whitened embeddings, of length 1: their products are the similarities. A mean of views may be shorter."""
        return _unit((_unit(np.asarray(embeddings, np.float32)) - self.mean) @ self.matrix)


def _unit(rows: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    lengths = np.sqrt(np.vecdot(rows, rows))[:, None]
    return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)
