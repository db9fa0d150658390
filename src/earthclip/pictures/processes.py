"""Processes that read pictures: the side that starts them and outlives what kills them, and their own program."""

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

from earthclip.configuration import from_mapping, to_mapping
from earthclip.errors import InputError
from earthclip.pictures.prepare import Failure, Prepared, prepare
from earthclip.pictures.preprocess import Preprocessing

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
        program = f"import sys; sys.path[:] = {sys.path!r}; from earthclip.pictures.processes import main; main()"
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


_NICENESS = 10  # a tenth of the processor beside an encoder that wants it all


def main() -> None:
    """Answer each path on stdin with its pixels, until stdin ends."""
    task = json.loads(sys.argv[1])
    preprocessing = from_mapping(Preprocessing, task["preprocessing"], "preprocessing")
    with contextlib.suppress(AttributeError, OSError):  # Windows has no os.nice
        os.nice(_NICENESS)
    answers = _keep_stdout()
    paths: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, paths), daemon=True).start()
    _send(answers, {"ready": True})
    while True:
        path = paths.get()
        try:
            pixels = prepare(path, preprocessing, task["views"], draft=task["draft"]).pixels
        except InputError as error:
            _send(answers, {"error": str(error)})
        else:
            _send(answers, {"shape": pixels.shape}, pixels.tobytes())


def _receive(requests: IO[bytes], paths: queue.SimpleQueue[str]) -> None:
    # A thread of its own notices that the other process has ended, however that ended, also amid a large picture.
    for line in requests:
        paths.put(json.loads(line))
    os._exit(0)


def _send(answers: IO[bytes], head: dict[str, object], pixels: bytes = b"") -> None:
    try:
        answers.write(json.dumps(head).encode() + b"\n")
        answers.write(pixels)
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
