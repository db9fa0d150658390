"""Ctrl-C, or a cluster that wants its machine back: finish the step, keep a checkpoint, then go."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """Whether somebody asked the run to end."""

    asked: bool = False


@contextlib.contextmanager
def stop_asked() -> Iterator[Stop]:
    """Take SIGINT and SIGTERM as a wish to end after the step at hand; the second one ends at once."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
