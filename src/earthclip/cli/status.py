"""What is said on stderr: lines that stay, and on a terminal one line of progress that does not."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator


def say(message: str) -> None:
    """One line on stderr, whatever line breaks the message has."""
    print(" ".join(message.split()), file=sys.stderr, flush=True)


class StatusLine:
    """A line that is overwritten, at most ten times a second; silent when stderr is not a terminal."""

    def __init__(self) -> None:
        self._active = sys.stderr.isatty()
        self._shown = 0.0

    def show(self, text: str) -> None:
        """Put ``text`` in the line."""
        now = time.monotonic()
        if self._active and now - self._shown > 0.1:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
            self._shown = now

    def clear(self) -> None:
        """Remove the line, before something that stays is printed."""
        if self._active and self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def libraries_muted() -> Iterator[None]:
    """Inside, only Python speaks on stderr: libtiff reports damage there itself, besides the error that is raised.

    The whole process is concerned, so this is for the command line and not for the library.
    """
    python = sys.stderr
    if _descriptor_of(python) != 2:  # replaced by a test, or closed, and then 2 may be any other file by now
        yield
        return
    python.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        with os.fdopen(kept, "w", buffering=1, encoding=python.encoding, errors="replace", closefd=False) as spoken:
            sys.stderr = spoken
            os.dup2(null, 2)
            yield
    finally:
        os.dup2(kept, 2)
        sys.stderr = python
        os.close(kept)
        os.close(null)


def _descriptor_of(stream: object) -> int | None:
    try:
        return int(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None
