"""A process that reads pictures: the side that starts it and outlives what kills it, and its own program, ``main``."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, cast

import numpy as np
from jaxtyping import Float32

from earthclip.configuration import from_mapping, to_mapping
from earthclip.errors import InputError
from earthclip.pictures.decode import TooManyPixelsError
from earthclip.pictures.prepare import Failure, Prepared, prepare
from earthclip.pictures.preprocess import Preprocessing

_GRACE_S = 1.0  # a worker that is asked to end takes milliseconds; one that was stopped would take forever
_NICENESS = 10  # a tenth of the processor beside an encoder that wants it all
# Each worker reads one picture at a time: more threads would only take memory and the encoder's time.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
BROKEN = (OSError, ValueError, EOFError)  # what talking to a worker raises when its process ends


@dataclass(frozen=True)
class Task:
    """What a worker does with every picture."""

    preprocessing: Preprocessing
    views: str
    draft: bool
    max_pixels: int
    memory_mb: int | None = None  # of the worker
    also: tuple[Preprocessing, ...] = ()  # what other models need done to the same picture

    def outcome(self, name: str, picture: str | bytes) -> Prepared | Failure:
        """A picture, read in this process."""
        own, views, most = self.preprocessing, self.views, self.max_pixels
        try:
            return prepare(picture, own, views, name, also=self.also, draft=self.draft, max_pixels=most)
        except InputError as error:
            return Failure(name, str(error), isinstance(error, TooManyPixelsError))


class Worker:
    """One process; requests and the heads of its answers are lines of JSON, files and pixels follow as raw bytes."""

    def __init__(self, task: Task) -> None:
        # It must find the modules this process has found, and not those that lie in the current folder.
        program = f"import sys; sys.path[:] = {sys.path!r}; from earthclip.pictures.worker import main; main()"
        self._task = task
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", program, json.dumps(to_mapping(task))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff reports damage there itself
            env=os.environ | _ONE_THREAD,
            start_new_session=True,  # or Ctrl-C would reach it too, and before it can ignore it
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        for pipe in (self._process.stdin, self._process.stdout):
            _widen(pipe)
        self._requests = self._process.stdin
        self._answers = cast(io.BufferedReader, self._process.stdout)

    def is_alive(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Raises one of ``BROKEN`` when the process ends before it is."""
        self._head()

    def read(self, name: str, picture: str | bytes, seconds: float | None) -> Prepared | Failure:
        """Raises one of ``BROKEN`` when the process ends before its answer does, TimeoutError after ``seconds``."""
        with contextlib.nullcontext() if seconds is None else self._killed_after(seconds):
            path, content = (None, picture) if isinstance(picture, bytes) else (picture, b"")
            request = {"path": path} if path is not None else {"name": name, "size": len(content)}
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.write(content)
            self._requests.flush()
            head = self._head()
            if "error" in head:
                return Failure(name, head["error"], head["too_large"])
            pixels, *others = [self._pixels(shape) for shape in head["shapes"]]
            return Prepared(pixels, path, dict(zip(self._task.also, others, strict=True)), self._task.preprocessing)

    def terminate(self) -> None:
        """Ask the process to end, without waiting until it has."""
        self._process.terminate()

    def end(self) -> str:
        """End the process, if it lives; returns how it ended."""
        self._process.terminate()
        try:
            code = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for pipe in (self._requests, self._answers):
            with contextlib.suppress(OSError, ValueError):
                pipe.close()
        return signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"

    def _pixels(self, shape: list[int]) -> Float32[np.ndarray, "v 3 h w"]:
        pixels = np.empty(shape, np.float32)
        if self._answers.readinto(pixels.data.cast("B")) != pixels.nbytes:
            raise EOFError
        return pixels

    def _head(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        head: dict[str, Any] = json.loads(line)
        return head

    @contextlib.contextmanager
    def _killed_after(self, seconds: float) -> Iterator[None]:
        overdue = threading.Event()

        def kill() -> None:
            overdue.set()
            self._process.kill()

        timer = threading.Timer(seconds, kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # or it might kill the process while it reads the next picture
            if overdue.is_set():
                raise TimeoutError


def _widen(pipe: IO[bytes]) -> None:
    """Let a pipe hold a megabyte, so that a file crosses it in a few turns of the two processes, not in forty."""
    with contextlib.suppress(ImportError, AttributeError, OSError):  # only Linux can
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def main() -> None:
    """Answer each picture that stdin names or holds with its pixels, until stdin ends."""
    task = from_mapping(Task, json.loads(sys.argv[1]), "task")
    with contextlib.suppress(AttributeError, OSError):  # Windows has no os.nice
        os.nice(_NICENESS)
    if task.memory_mb is not None:
        _limit_memory(task.memory_mb)
    answers = _keep_stdout()
    pictures: queue.SimpleQueue[tuple[str, str | bytes]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, pictures), daemon=True).start()
    _send(answers, {"ready": True})
    while True:
        _answer(answers, task, *pictures.get())


def _limit_memory(megabytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has none
        return
    # Not RLIMIT_AS, which also counts what libraries map and threads reserve, and what nobody uses.
    limit = megabytes << 20
    with contextlib.suppress(ValueError, OSError):  # a lower limit holds already
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _receive(requests: IO[bytes], pictures: queue.SimpleQueue[tuple[str, str | bytes]]) -> None:
    # A thread of its own notices that the other process has ended, however that ended, also amid a large picture.
    try:
        for line in requests:
            request = json.loads(line)
            if "path" in request:
                pictures.put((request["path"], request["path"]))
            else:
                pictures.put((request["name"], requests.read(request["size"])))
    finally:  # also of memory that does not hold a file
        os._exit(0)


def _answer(answers: IO[bytes], task: Task, name: str, picture: str | bytes) -> None:
    outcome = task.outcome(name, picture)
    if isinstance(outcome, Failure):
        _send(answers, {"error": outcome.error, "too_large": outcome.too_large})
    else:
        arrays = [outcome.pixels, *outcome.also.values()]
        _send(answers, {"shapes": [array.shape for array in arrays]}, arrays)


def _send(answers: IO[bytes], head: dict[str, object], arrays: Sequence[np.ndarray] = ()) -> None:
    try:
        answers.write(json.dumps(head).encode() + b"\n")
        for array in arrays:
            answers.write(array.data.cast("B"))
        answers.flush()
    except OSError:  # nobody wants the answer any more
        os._exit(0)


def _keep_stdout() -> IO[bytes]:
    """What was stdout; the descriptor of that name leads nowhere from now on, whatever a library may print to it."""
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    return answers
