"""A process that reads pictures, see ``workers``: paths in on stdin, pixels out on stdout.

It imports what ``prepare`` needs and no more: no ONNX Runtime, no model.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
from typing import IO

from earthclip.configuration import from_mapping
from earthclip.errors import InputError
from earthclip.runtime.prepared import prepare
from earthclip.runtime.preprocess import Preprocessing

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
