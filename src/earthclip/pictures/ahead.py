"""Pictures read and preprocessed in worker processes, ahead of the encoder, handed on in order."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from earthclip.errors import InputError
from earthclip.pictures.prepare import Failure, Prepared, prepare
from earthclip.pictures.preprocess import Preprocessing

FEW = 8  # pictures that are read before a worker process would have started


def read_ahead(
    pictures: Iterable[Path | Failure],
    preprocessing: Preprocessing,
    views: str = "none",
    *,
    workers: int,
    ahead: int = 32,
    draft: bool = True,
) -> Generator[Prepared | Failure, None, None]:
    """``prepare`` of each picture, in order; what cannot be read, or ends the process that reads it, is a Failure.

    ``workers`` processes (0: this one) read at a lower priority than the encoder's, so that they fill the time it
    leaves; no more than ``ahead`` pictures are taken from ``pictures`` before they are asked for, however many there
    are. ``FEW`` pictures are read in this process. Close the iterator to end the workers before the pictures do.
    Raises InputError for ``workers`` or ``ahead`` that make no sense.
    """
    if workers < 0 or ahead < 1:
        raise InputError(f"workers is {workers} and ahead {ahead}; expected 0 or more, and at least 1")
    return _read_all(iter(pictures), preprocessing, views, workers, ahead, draft)


def _read_all(
    items: Iterator[Path | Failure], preprocessing: Preprocessing, views: str, workers: int, ahead: int, draft: bool
) -> Generator[Prepared | Failure, None, None]:
    # More than can be in flight are not asked for, not even to know whether they are few.
    first = list(itertools.islice(items, min(FEW + 1, ahead) if workers else 0))
    items = itertools.chain(first, items)
    if len(first) > min(FEW, ahead - 1):
        yield from _read_in_workers(items, preprocessing, views, workers, ahead, draft)
    else:
        for item in items:
            yield _read(item, preprocessing, views, draft)


def _read(item: Path | Failure, preprocessing: Preprocessing, views: str, draft: bool) -> Prepared | Failure:
    if isinstance(item, Failure):
        return item
    try:
        return prepare(item, preprocessing, views, draft=draft)
    except InputError as error:
        return Failure(os.fspath(item), str(error))


def _read_in_workers(
    items: Iterator[Path | Failure],
    preprocessing: Preprocessing,
    views: str,
    workers: int,
    ahead: int,
    draft: bool,
) -> Generator[Prepared | Failure, None, None]:
    # Here, since a single picture should not pay for the import.
    from concurrent.futures import Future, ThreadPoolExecutor

    from earthclip.pictures.processes import Workers

    def read(item: Path | Failure) -> Prepared | Failure:
        return item if isinstance(item, Failure) else pool.read(item)

    # A thread stands behind each worker, so that an answer is taken while the encoder has the main thread.
    with (
        ThreadPoolExecutor(workers, thread_name_prefix="earthclip-read") as threads,
        contextlib.closing(Workers(preprocessing, views, draft)) as pool,
    ):
        reading: deque[Future[Prepared | Failure]] = deque()
        try:
            for item in items:
                reading.append(threads.submit(read, item))
                if len(reading) == ahead:
                    yield reading.popleft().result()
            while reading:
                yield reading.popleft().result()
        finally:
            for future in reading:
                future.cancel()
