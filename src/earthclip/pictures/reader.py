"""Reads pictures in worker processes: one picture for any thread that asks, or many ahead of the encoder, in order.

A picture that ends its worker is a Failure, and the program goes on.
"""

from __future__ import annotations

import io
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

from earthclip.errors import EarthCLIPError, InputError
from earthclip.pictures.decode import MAX_PIXELS
from earthclip.pictures.prepare import Failure, Prepared
from earthclip.pictures.preprocess import Preprocessing
from earthclip.pictures.worker import BROKEN, Task, Worker

FEW = 8  # pictures that are read before a worker would have started
_FETCHES = 8  # at the same time; they wait for disks and networks, not for the processor
_ATTEMPTS = 2  # the first worker may have ended for a reason that is not the picture's
_LEAST_MEMORY_MB = 100  # a worker that has read nothing yet takes 60


@dataclass(frozen=True)
class Named:
    """A picture that is not a file of this machine, and the name that messages give it.

    ``content`` is the bytes of its file, or a function that gets them when the picture's turn comes, in one of several
    threads. The function may also return a path or a file in memory, and may raise EarthCLIPError.
    """

    name: str
    content: bytes | Callable[[], str | bytes | io.BufferedIOBase]


Source: TypeAlias = str | os.PathLike[str] | Named | Failure


@dataclass(frozen=True)
class Limits:
    """What a stranger's picture may take: seconds, pixels, and MB of the worker that reads it (60 without a picture).

    Windows and macOS do not limit memory. Raises InputError for limits that no picture could keep.
    """

    seconds: float
    memory_mb: int
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.memory_mb < _LEAST_MEMORY_MB or self.max_pixels < 1:
            found = f"{self.seconds:g} s, {self.memory_mb} MB and {self.max_pixels:,} pixels"
            raise InputError(f"limits of {found} let no picture through; expected at least {_LEAST_MEMORY_MB} MB")


class Reader:
    """Up to ``workers`` processes that read pictures, started when first needed; with 0 workers, this process reads.

    Workers run at a lower priority than this process, to use only the time that an encoder leaves, and end with it.
    With ``limits``, no picture is read in this process, and a picture that ended its worker is not tried again.
    ``also`` is what other models need done to the same pictures.
    Raises InputError for a negative number of workers, and for limits without workers.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        views: str = "none",
        *,
        workers: int,
        draft: bool = True,
        limits: Limits | None = None,
        also: tuple[Preprocessing, ...] = (),
    ) -> None:
        if workers < 0 or (limits and not workers):
            raise InputError(f"workers is {workers}; expected 0 or more, and with limits 1 or more")
        max_pixels, memory_mb = (limits.max_pixels, limits.memory_mb) if limits else (MAX_PIXELS, None)
        self._task = Task(preprocessing, views, draft, max_pixels, memory_mb, also)
        self._workers, self._limits = workers, limits
        # A thread waits for each worker, so that an answer is taken while the encoder has the main thread, and
        # pictures are read in the order in which they were given, however many threads wait for one.
        self._threads = ThreadPoolExecutor(workers or 1, thread_name_prefix="earthclip-read")
        self._fetching = ThreadPoolExecutor((workers or 1) + _FETCHES, thread_name_prefix="earthclip-fetch")
        self._lock = threading.Lock()
        self._all: set[Worker] = set()
        self._idle: list[Worker] = []
        self._closed = False

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers at once, also those that are reading."""
        with self._lock:
            self._closed = True
            workers = list(self._all)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.end()
        self._fetching.shutdown(cancel_futures=True)
        self._threads.shutdown()

    def read(self, source: Source) -> Prepared | Failure:
        """One picture, in a worker if there are any; waits for it. Threads may share the reader.

        What cannot be read, exceeds a limit or ends its worker is a Failure, as is every picture after ``close``.
        """
        return _read(source, self._wait_for_worker if self._workers else self._task.outcome)

    def read_ahead(
        self, sources: Iterable[Source], ahead: int = 32, *, few: int = FEW
    ) -> Generator[Prepared | Failure, None, None]:
        """As ``read``, for each picture in order; at most ``ahead`` of them are taken before they are asked for.

        Up to ``few`` pictures are read in this process, which is faster than starting a worker; with limits none are.
        Raises InputError for ``ahead`` below 1.
        """
        if ahead < 1:
            raise InputError(f"ahead is {ahead}; expected at least 1")
        return self._read_ahead(iter(sources), ahead, 0 if self._limits else few)

    def _read_ahead(self, items: Iterator[Source], ahead: int, few: int) -> Generator[Prepared | Failure, None, None]:
        # More than can be in flight are not asked for, not even to know whether they are few.
        first = list(itertools.islice(items, min(few + 1, ahead) if self._workers else 0))
        items = itertools.chain(first, items)
        if len(first) <= min(few, ahead - 1):
            for item in items:
                yield _read(item, self._task.outcome)
            return
        reading: deque[Future[Prepared | Failure]] = deque()
        try:
            for item in items:
                if isinstance(item, Named) and callable(item.content):
                    reading.append(self._fetching.submit(_read, item, self._wait_for_worker))
                else:
                    reading.append(self._threads.submit(_read, item, self._read_in_worker))
                if len(reading) == ahead:
                    yield reading.popleft().result()
            while reading:
                yield reading.popleft().result()
        finally:
            for future in reading:
                future.cancel()

    def _wait_for_worker(self, name: str, picture: str | bytes) -> Prepared | Failure:
        with self._lock:
            if self._closed:
                return _unread(name)
            outcome = self._threads.submit(self._read_in_worker, name, picture)
        return outcome.result()

    def _read_in_worker(self, name: str, picture: str | bytes) -> Prepared | Failure:
        seconds = self._limits.seconds if self._limits else None
        ended = ""
        for _ in range(1 if self._limits else _ATTEMPTS):
            try:
                worker = self._take()
            except OSError:  # no memory or no processes left for another one
                if ended:
                    break
                return self._read_without_worker(name, picture)
            try:
                outcome = worker.read(name, picture, seconds)
            except TimeoutError:
                self._bury(worker)
                return Failure(name, f"{name}: reading it took more than {seconds:g} s, the limit; make it smaller")
            except BROKEN:
                ended = self._bury(worker)
                continue
            self._idle.append(worker)
            return outcome
        if self._closed:
            return _unread(name)
        advice = (
            "convert it or make it smaller" if self._limits else "convert it, make it smaller, or use fewer --workers"
        )
        found = f"reading it ended the reading process ({ended}): damaged, or too large for the memory"
        return Failure(name, f"{name}: {found}; {advice}")

    def _read_without_worker(self, name: str, picture: str | bytes) -> Prepared | Failure:
        if self._closed:
            return _unread(name)
        if self._limits:
            return Failure(name, f"{name}: no process to read it could be started; try again later")
        return self._task.outcome(name, picture)

    def _take(self) -> Worker:
        """A worker that is idle, or a new one. Raises OSError when none can be started."""
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive():
                    return worker
                self._all.discard(worker)
                worker.end()
            if self._closed:
                raise OSError("closed")
            worker = Worker(self._task)
            self._all.add(worker)
        try:
            worker.wait_until_ready()
        except BROKEN as error:
            raise ChildProcessError(self._bury(worker)) from error
        return worker

    def _bury(self, worker: Worker) -> str:
        with self._lock:
            self._all.discard(worker)
        return worker.end()


def _read(source: Source, outcome: Callable[[str, str | bytes], Prepared | Failure]) -> Prepared | Failure:
    """The ``outcome`` of a picture's name in messages and its path or bytes, which are fetched here."""
    if isinstance(source, Failure):
        return source
    if not isinstance(source, Named):
        return outcome(os.fspath(source), os.fspath(source))
    try:
        content = source.content() if callable(source.content) else source.content
    except EarthCLIPError as error:
        return Failure(source.name, str(error))
    if isinstance(content, io.BufferedIOBase):
        with content:
            content = content.read()
    return outcome(content if isinstance(content, str) else source.name, content)


def _unread(name: str) -> Failure:
    return Failure(name, f"{name}: not read, since the run was ended")
