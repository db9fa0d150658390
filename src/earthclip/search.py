"""Exact search: the most probable of millions of places, and how probable, in the memory of a few blocks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Float32, Float64, Int

from earthclip.processors import usable_processors

BLOCK = 2048  # places at a time: 4 MB as float32 at 512 numbers each, which the processor's caches hold
_ALONE = 32 * BLOCK  # places up to which a second thread costs more than it brings
BIAS = 2.0**112  # between the exponents of float16 and float32


@dataclass(frozen=True, eq=False)
class Found:
    """The best ``indices`` [b, k] of each query, best first, and their natural ``log_probabilities`` [b, k]."""

    indices: Int[np.ndarray, "b k"]
    log_probabilities: Float64[np.ndarray, "b k"]


def search(
    scaled: Float32[np.ndarray, "b d"], embeddings: Float16[np.ndarray, "m d"], k: int, threads: int | None = None
) -> Found:
    """The ``k`` best of ``embeddings`` for each row of ``scaled``, under the softmax of their products over all m.

    Products are exact float32; equal ones are ordered by index. Beyond the queries, memory is that of one block and its
    products for each thread, whatever m: neither products [b, m] nor embeddings in float32 are ever whole. ``threads``
    is how many share the places [the processors of this process, for many places].
    """
    m = len(embeddings)
    if threads is None:
        threads = 1 if m <= _ALONE else usable_processors()
    threads = min(threads, m)
    edges = np.linspace(0, m, threads + 1).astype(int).tolist()
    parts = [_Running(len(scaled), k) for _ in range(threads)]
    if threads == 1:
        parts[0].take(scaled, embeddings, 0, m)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda i: parts[i].take(scaled, embeddings, edges[i], edges[i + 1]), range(threads)))
    whole = parts[0]
    for part in parts[1:]:
        whole.merge(part)
    return Found(whole.indices, whole.values - whole.log_sum()[:, None])


def products(
    scaled: Float32[np.ndarray, "b d"], embeddings: Float16[np.ndarray, "m d"], start: int, end: int
) -> Iterator[tuple[int, Float32[np.ndarray, "b n"]]]:
    """Each block of the places from ``start`` to ``end``: where it begins, and its products with each query.

    The products are the same memory from block to block.
    """
    wide = np.empty((min(BLOCK, end - start), embeddings.shape[1]), np.float32)
    found = np.empty((len(scaled), len(wide)), np.float32)
    # What the embeddings are too small by, the queries are too large by: a fourth of the time saved. Queries beyond
    # what float32 holds so are made smaller, and their products larger again.
    excess = max(np.float32(1), np.abs(scaled).max(initial=0.0) / np.float32(2.0**10))
    raised = scaled / excess * np.float32(BIAS)
    for first in range(start, end, BLOCK):
        block = embeddings[first : min(first + BLOCK, end)]
        shift(block, wide[: len(block)])
        part = found[:, : len(block)]
        # A matrix product would start threads of its own, which wait for the encoder's and the readers': 18 ms a
        # picture where this takes less than one.
        for query, row in zip(raised, part, strict=True):
            np.vecdot(wide[: len(block)], query, out=row)
        if excess > 1:
            part *= excess
        yield first, part


def shift(values: Float16[np.ndarray, "n d"], result: Float32[np.ndarray, "n d"]) -> None:
    """Finite float16 to float32, exactly, but divided by ``BIAS``; ``astype`` takes 30 times as long.

    The bits alone are moved, and the exponents keep the other bias.
    """
    bits = result.view(np.int32)
    np.copyto(bits, values.view(np.int16))
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, np.int32(-0x70002000), out=bits)  # clears the copies of the sign in bits 28 to 30


class _Running:
    """What has to be known of the places seen so far: the k best and the sum of all exponentials."""

    def __init__(self, queries: int, k: int) -> None:
        self.values = np.full((queries, k), -np.inf)
        self.indices = np.zeros((queries, k), np.int64)
        self._largest = np.full(queries, -np.inf)
        self._sum = np.zeros(queries)

    def take(self, scaled: np.ndarray, embeddings: np.ndarray, start: int, end: int) -> None:
        for first, part in products(scaled, embeddings, start, end):
            self._keep_best(part, first)
            self._add(part)

    def merge(self, other: _Running) -> None:
        values = np.concatenate([self.values, other.values], axis=1)
        indices = np.concatenate([self.indices, other.indices], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, : self.values.shape[1]]
        self.values = np.take_along_axis(values, order, axis=1)
        self.indices = np.take_along_axis(indices, order, axis=1)
        largest = np.maximum(self._largest, other._largest)
        self._sum = self._sum * np.exp(self._largest - largest) + other._sum * np.exp(other._largest - largest)
        self._largest = largest

    def log_sum(self) -> np.ndarray:
        return self._largest + np.log(self._sum)

    def _keep_best(self, products: np.ndarray, first: int) -> None:
        k = self.values.shape[1]
        for query in np.flatnonzero(products.max(axis=1) > self.values[:, -1]):
            row = products[query]
            worth = np.flatnonzero(row > self.values[query, -1])  # an equal one comes after those before it
            if len(worth) > 4 * k:  # the first blocks, where all are better than nothing
                kth = np.partition(row[worth], len(worth) - k)[len(worth) - k]
                worth = worth[row[worth] >= kth]
            values = np.concatenate([self.values[query], row[worth]])
            indices = np.concatenate([self.indices[query], worth + first])
            order = np.argsort(-values, kind="stable")[:k]
            self.values[query], self.indices[query] = values[order], indices[order]

    def _add(self, products: np.ndarray) -> None:
        largest = np.maximum(self._largest, products.max(axis=1))
        np.subtract(products, largest[:, None].astype(np.float32), out=products)
        # What is subtracted is rounded to float32, as are the products: it has to be the same number.
        largest = largest.astype(np.float32).astype(np.float64)
        np.exp(products, out=products)
        self._sum = self._sum * np.exp(self._largest - largest) + products.sum(axis=1, dtype=np.float64)
        self._largest = largest
