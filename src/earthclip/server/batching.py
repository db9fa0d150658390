"""One thread that works on what waits, a small batch at a time, and says how the rest of the server stands to it."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from earthclip.server.refusal import Refusal

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class _Job(Generic[Key, Item, Answer]):
    key: Key
    item: Item
    future: Future[Answer] = field(default_factory=Future)


class Batcher(Generic[Key, Item, Answer]):
    """``work(key, items)`` gives an answer for each item, called in one thread with up to ``batch_size`` items.

    The first item waits ``wait_s`` at most for others to come; items of different keys are worked on apart. ``open``
    is called in the thread before anything else. At most ``capacity`` items are let in at a time, from ``room`` on.
    """

    def __init__(
        self,
        work: Callable[[Key, list[Item]], Sequence[Answer]],
        *,
        batch_size: int,
        wait_s: float,
        capacity: int,
        open_first: Callable[[], None] = lambda: None,
    ) -> None:
        self._work, self._open = work, open_first
        self._batch_size, self._wait_s, self._capacity = batch_size, wait_s, capacity
        self._queue: queue.SimpleQueue[_Job[Key, Item, Answer] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._inside = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self.opened: Future[None] = Future()  # done when ``open`` has ended, with its fault if it had one

    @property
    def ready(self) -> bool:
        """Whether what is let in now will be answered."""
        opened = self.opened.done() and self.opened.exception() is None
        return opened and not self._closing and self._thread.is_alive()

    @property
    def inside(self) -> int:
        """How many items are let in and not answered yet."""
        return self._inside

    def start(self) -> None:
        """Start the thread, once."""
        with self._lock:
            if self._thread.ident is None:
                self._thread.start()

    @contextlib.contextmanager
    def room(self, items: int) -> Iterator[None]:
        """Room for so many items while the block runs; raises Refusal (503, 429) at once where there is none."""
        with self._lock:
            if not self.ready:
                raise Refusal(503, "the server is starting or ending; try again in a second", retry_after_s=1)
            if self._inside + items > self._capacity:
                raise Refusal(
                    429, f"{self._inside} pictures are waiting already; try again in a second", retry_after_s=1
                )
            self._inside += items
        try:
            yield
        finally:
            with self._lock:
                self._inside -= items

    def submit(self, key: Key, item: Item) -> Future[Answer]:
        """The answer to come; cancel it and the item is passed over. Call it inside ``room``."""
        job: _Job[Key, Item, Answer] = _Job(key, item)
        with self._lock:
            if self._closing:
                raise Refusal(503, "the server is ending; try again in a few seconds", retry_after_s=5)
            self._queue.put(job)
        return job.future

    def close(self, timeout_s: float) -> bool:
        """Let nothing more in, finish what is queued, and end the thread; False when it took too long."""
        with self._lock:
            if not self._closing:
                self._closing = True
                self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._open()
        except BaseException as error:
            self.opened.set_exception(error)
            return
        self.opened.set_result(None)
        ended = False
        while not ended:
            batch, ended = self._take()
            groups: dict[Key, list[_Job[Key, Item, Answer]]] = {}
            for job in batch:
                if job.future.set_running_or_notify_cancel():
                    groups.setdefault(job.key, []).append(job)
            for key, jobs in groups.items():
                self._answer(key, jobs)

    def _take(self) -> tuple[list[_Job[Key, Item, Answer]], bool]:
        """Up to a batch of jobs, and whether they are the last."""
        batch: list[_Job[Key, Item, Answer]] = []
        end = None
        while len(batch) < self._batch_size:
            try:
                # Whoever is inside but not queued is being decoded; with nobody there, waiting brings nothing.
                left = 0.0 if end is not None and self._inside <= len(batch) else self._wait_s
                timeout = None if end is None else max(min(end - time.monotonic(), left), 0)
                job = self._queue.get(timeout=timeout)
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
            end = end or time.monotonic() + self._wait_s
        return batch, False

    def _answer(self, key: Key, jobs: list[_Job[Key, Item, Answer]]) -> None:
        try:
            answers = self._work(key, [job.item for job in jobs])
            for job, answer in zip(jobs, answers, strict=True):
                job.future.set_result(answer)
        except BaseException as error:  # told to whoever asked; the thread must outlive it
            for job in jobs:
                if not job.future.done():
                    job.future.set_exception(error)
