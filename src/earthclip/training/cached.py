"""Batches of cached features, read one step ahead of the training."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from earthclip.training.order import Order, TrainingBatch, seeds_of

if TYPE_CHECKING:
    from earthclip.datasets.feature_store import FeatureStore

_AHEAD = 2


def feature_batches(
    store: FeatureStore,
    chosen: Int64[np.ndarray, " n"],
    batch_size: int,
    seed: int,
    steps: range,
    *,
    rank: int = 0,
    world: int = 1,
) -> Generator[TrainingBatch, None, None]:
    """The share of process ``rank`` in the batches of ``steps``: of each photo among ``chosen``, one of its views."""
    order = Order(len(chosen), batch_size, seed)
    size = batch_size // world
    share = slice(rank * size, (rank + 1) * size)

    def read(step: int) -> TrainingBatch:
        rows = chosen[order.batch(step)[share]]
        views = (seeds_of(seed, step, batch_size)[share] % np.uint64(store.views)).astype(np.int64)
        return TrainingBatch(store.rows(rows, views), store.coordinates[rows], [store.ids[row] for row in rows])

    with ThreadPoolExecutor(1) as reader:
        waiting: list[Future[TrainingBatch]] = [reader.submit(read, step) for step in steps[:_AHEAD]]
        for step in steps:
            batch = waiting.pop(0).result()
            if step + _AHEAD < steps.stop:
                waiting.append(reader.submit(read, step + _AHEAD))
            yield batch
