"""What is said on stderr: lines that stay, and on a terminal one line of progress that does not."""

from __future__ import annotations

import sys
import time


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
