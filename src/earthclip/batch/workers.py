"""Processes that read pictures: the side that starts them, asks them, and outlives what kills them.

They are plain subprocesses with two pipes rather than ``multiprocessing``'s, which would import the user's script
once more, and whose pools break as a whole when one process dies. One that loses its input ends by itself, so that
none outlives this process, however that ends.
"""

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
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from earthclip.configuration import to_mapping
from earthclip.errors import InputError
from earthclip.prediction import Failure
from earthclip.runtime.prepared import Prepared, prepare
from earthclip.runtime.preprocess import Preprocessing

_ATTEMPTS = 2  # the first process may have ended for a reason that is not the picture's, or before it; one made anew
# Each reads one picture at a time: more threads would only take memory and the encoder's time.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Workers:
    """As many worker processes as threads call ``read`` at once, started when first needed."""

    def __init__(self, preprocessing: Preprocessing, views: str, draft: bool) -> None:
        self._preprocessing, self._views, self._draft = preprocessing, views, draft
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._all: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def read(self, path: Path) -> Prepared | Failure:
        """``prepare`` of the picture at ``path`` in a worker; a Failure also when it ends two of them."""
        reason = ""
        for attempt in range(_ATTEMPTS):
            try:
                worker = self._start() if attempt else self._take()
            except OSError:  # no memory or no processes left for another one
                return self._read_here(path)
            try:
                answer = worker.read(path)
            except (OSError, ValueError, EOFError):
                reason = self._bury(worker)
                if not worker.ready:  # it could not even start, which is not the picture's fault
                    return self._read_here(path)
                continue
            self._idle.put(worker)
            return answer
        return Failure(
            os.fspath(path),
            f"{path}: reading it ended the reading process ({reason}): damaged, or too large for the memory; "
            "convert it, make it smaller, or use fewer --workers",
        )

    def close(self) -> None:
        """End all workers at once, also those that are reading."""
        with self._lock:
            self._closed = True
            workers = list(self._all)
            self._all.clear()
        for worker in workers:
            worker.end()

    def _take(self) -> _Worker:
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        return self._start()

    def _start(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise OSError("closed")
            worker = _Worker(self._preprocessing, self._views, self._draft)
            self._all.add(worker)
            return worker

    def _bury(self, worker: _Worker) -> str:
        with self._lock:
            self._all.discard(worker)
        return worker.end()

    def _read_here(self, path: Path) -> Prepared | Failure:
        if self._closed:
            return Failure(os.fspath(path), f"{path}: not read, the run was ended")
        try:
            return prepare(path, self._preprocessing, self._views, draft=self._draft)
        except InputError as error:
            return Failure(os.fspath(path), str(error))


class _Worker:
    """One process; requests and the heads of its answers are lines of JSON, pixels follow as raw float32."""

    def __init__(self, preprocessing: Preprocessing, views: str, draft: bool) -> None:
        task = {"preprocessing": to_mapping(preprocessing), "views": views, "draft": draft}
        # It must find the modules this process has found, and not those that lie in the current folder.
        program = f"import sys; sys.path[:] = {sys.path!r}; from earthclip.batch.worker import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", program, json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff reports damage there itself
            env=os.environ | _ONE_THREAD,
            start_new_session=True,  # or Ctrl-C would reach it too, and before it can ignore it
        )
        self.ready = False

    def read(self, path: Path) -> Prepared | Failure:
        """Raises OSError, ValueError or EOFError when the process ends before its answer does."""
        requests, answers = _pipes(self._process)
        if not self.ready:
            self.ready = bool(_line(answers))
        requests.write(json.dumps(os.fspath(path)).encode() + b"\n")
        requests.flush()
        head = _line(answers)
        if "error" in head:
            return Failure(os.fspath(path), head["error"])
        pixels = np.empty(head["shape"], np.float32)
        if answers.readinto(pixels.data.cast("B")) != pixels.nbytes:
            raise EOFError
        return Prepared(pixels, os.fspath(path))

    def end(self) -> str:
        """Kill it, if it lives; returns what it ended with."""
        self._process.kill()
        code = self._process.wait()
        for pipe in _pipes(self._process):
            with contextlib.suppress(OSError, ValueError):
                pipe.close()
        return signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], io.BufferedReader]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, cast(io.BufferedReader, process.stdout)


def _line(answers: IO[bytes]) -> dict[str, Any]:
    line = answers.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    head: dict[str, Any] = json.loads(line)
    return head
