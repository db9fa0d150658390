"""The batches of a run, in order, made ahead of the training in worker processes."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from earthclip.errors import EarthCLIPError
from earthclip.orbit.imagery import imagery_path
from earthclip.orbit.sampler import Batch, ViewsConfig, batch_of, start_worker

_AHEAD = 4  # batches in preparation beyond the one in use


def batches(
    config: ViewsConfig, batch_size: int, image_size: int, grid: int, seed: int, first_step: int, steps: int
) -> Generator[Batch, None, None]:
    """The batches of ``first_step`` up to ``steps``, in order, rendered in ``config.workers`` processes.

    Raises EarthCLIPError when imagery is missing or a process ends.
    """
    for name in config.imagery:
        imagery_path(name)  # one error here instead of one in each worker
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads' locks
    arguments = (config, batch_size, image_size, grid, seed)
    pool = ProcessPoolExecutor(config.workers, mp_context=context, initializer=start_worker, initargs=arguments)
    waiting: deque[Future[Batch]] = deque()
    try:
        # Workers inherit that Ctrl-C is not for them: the trainer takes it, and ends them.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN) if _in_main_thread() else None
        try:
            ahead = range(first_step, min(steps, first_step + _AHEAD + config.workers))
            waiting.extend(pool.submit(batch_of, step) for step in ahead)
        finally:
            if previous is not None:
                signal.signal(signal.SIGINT, previous)
        for step in range(first_step, steps):
            batch = waiting.popleft().result()
            if (later := step + _AHEAD + config.workers) < steps:
                waiting.append(pool.submit(batch_of, later))
            yield batch
    except BrokenProcessPool as error:
        advice = "was memory short? lower views.workers or views.texture_width"
        raise EarthCLIPError(f"a process that renders views ended; {advice}, or --resume") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
