"""A run's folder: one trainer at a time, and Ctrl-C that keeps a checkpoint first."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from earthclip.errors import OutputError


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


_LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` against other trainers. Raises OutputError when one has it, or it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK).open("ab")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose a folder you may write to") from error
    with file:
        if sys.platform != "win32":  # two trainers in one folder are not found out there
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                fault = f"{folder}: another trainer is at work in it; wait for it, or choose another folder"
                raise OutputError(fault) from error
            except OSError:
                pass  # a drive without locks
        yield
