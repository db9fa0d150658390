"""The batches of a run, in order, made ahead of the training in worker processes."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from earthclip.errors import EarthCLIPError
from earthclip.training.rendering.imagery import imagery_path
from earthclip.training.rendering.sampler import Batch, ViewsConfig, batch_of, start_worker

_AHEAD = 4  # batches in preparation beyond the one in use

Made = TypeVar("Made")


def batches(
    config: ViewsConfig,
    batch_size: int,
    image_size: int,
    grid: int,
    seed: int,
    first_step: int,
    steps: int,
    *,
    rank: int = 0,
    world: int = 1,
) -> Generator[Batch, None, None]:
    """The batches of ``first_step`` up to ``steps``, in order, rendered in ``config.workers`` processes.

    Of many trainers, each has every ``world``-th of a longer row of batches. Raises EarthCLIPError when imagery is
    missing or a process ends.
    """
    for name in config.imagery:
        imagery_path(name)  # one error here instead of one in each worker
    numbers = (step * world + rank for step in range(first_step, steps))
    start = (config, batch_size, image_size, grid, seed)
    advice = "lower views.workers or views.texture_width"
    return made_ahead(batch_of, numbers, config.workers, start_worker, start, ("renders views", advice))


def made_ahead(
    make: Callable[[Any], Made],
    arguments: Iterable[Any],
    workers: int,
    start: Callable[..., None],
    start_arguments: tuple[Any, ...],
    fault: tuple[str, str],
) -> Generator[Made, None, None]:
    """What ``make`` makes of each argument, in order, in processes that begin with ``start``.

    ``fault``: what a process does, and what to do when memory was short, for the EarthCLIPError when one ends.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads' locks
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=start, initargs=start_arguments)
    waiting: deque[Future[Made]] = deque()
    coming = iter(arguments)
    try:
        # Workers inherit that Ctrl-C is not for them: the trainer takes it, and ends them.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN) if _in_main_thread() else None
        try:
            waiting.extend(pool.submit(make, one) for one in itertools.islice(coming, _AHEAD + workers))
        finally:
            if previous is not None:
                signal.signal(signal.SIGINT, previous)
        while waiting:
            made = waiting.popleft().result()
            waiting.extend(pool.submit(make, one) for one in itertools.islice(coming, 1))
            yield made
    except BrokenProcessPool as error:
        what, advice = fault
        raise EarthCLIPError(
            f"a process that {what} was killed, perhaps for lack of memory; {advice}, or --resume"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
