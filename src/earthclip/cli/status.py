"""What is said on stderr: lines that stay, and on a terminal one line of progress that does not."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from earthclip.errors import one_line, visible

_BAR_WIDTH = 20
_RATE_SECONDS = 30.0


_verbosity = {"quiet": False, "verbose": False}


def set_verbosity(**flags: bool) -> None:
    """What --quiet and --verbose were given as; each command sets both."""
    _verbosity.update(flags)


def say(message: str) -> None:
    """A warning or an error: one line on stderr, whatever line breaks the message has."""
    print(one_line(message), file=sys.stderr, flush=True)


def quiet() -> bool:
    """Whether --quiet was given."""
    return _verbosity["quiet"]


def note(message: str) -> None:
    """A line that --quiet leaves out unless it is a warning, such as how many pictures were located."""
    if not quiet() or message.startswith("warning:"):
        say(message)


def verbose() -> bool:
    """Whether --verbose asks for more lines."""
    return _verbosity["verbose"]


def machine_readable_stdout() -> None:
    """Make stdout UTF-8 with newlines, whatever the locale: what programs read is the same everywhere."""
    with contextlib.suppress(AttributeError, ValueError):  # a stream that was replaced, by a test for one
        sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")  # type: ignore[union-attr]


class Screen:
    """A terminal that text is written to which nothing in it can control, such as names of files in a CSV."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal

    def write(self, text: str) -> int:
        """Write ``text``, of which only line breaks do what they do."""
        return self._terminal.write("\n".join(map(visible, text.split("\n"))))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._terminal, name)


class StatusLine:
    """A line that is overwritten, at most ten times a second; silent with --quiet or when stderr is no terminal."""

    def __init__(self) -> None:
        self.active = sys.stderr.isatty() and not _verbosity["quiet"]
        self._shown = 0.0
        self._visible = False

    def show(self, text: str) -> None:
        """Put ``text`` in the line, or what fits in the terminal's width."""
        now = time.monotonic()
        if self.active and now - self._shown > 0.1:
            width = _columns()
            print(f"\r\033[K{text[: width - 1]}", end="", file=sys.stderr, flush=True)
            self._shown, self._visible = now, True

    def clear(self) -> None:
        """Remove the line, before something that stays is printed."""
        if self._visible:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self._visible = False


class Pace:
    """How far a run of many has come: a bar, count, rate and time left, as text for a StatusLine."""

    def __init__(self, total: int | None, done: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """``total`` None: unknown. ``done`` were done before, which says nothing about the rate."""
        self._total, self._clock = total, clock
        self._seen: deque[tuple[float, int]] = deque([(clock(), done)])

    def text(self, done: int) -> str:
        """The line, when ``done`` are done; the rate is that of the last half minute."""
        now = self._clock()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        passed = now - since
        rate = (done - before) / passed if passed > 0 else 0.0
        speed = f"{rate:.1f}/s" if rate else ""
        if not self._total:
            return f"{done:,}  {speed}".rstrip()
        part = min(done / self._total, 1.0)
        bar = ("#" * round(part * _BAR_WIDTH)).ljust(_BAR_WIDTH, "-")
        left = f"{duration((self._total - done) / rate)} left" if rate and done <= self._total else ""
        return f"[{bar}] {done:,} of {self._total:,}  {100 * part:.0f} %  {speed}  {left}".rstrip()


def duration(seconds: float) -> str:
    """Such as "57 s", "2:54" (minutes and seconds) or "1:02:54"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


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


def _columns() -> int:
    import shutil  # with the compression libraries it brings, a tenth of what --help takes

    return shutil.get_terminal_size().columns
