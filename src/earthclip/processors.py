"""How many processors there are to work on, and how many of them an encoder takes."""

from __future__ import annotations

import os

from earthclip.errors import ConfigError

_THREADS = "EARTHCLIP_THREADS"


def usable_processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def encoder_threads() -> int | None:
    """How many threads an encoder may take, by EARTHCLIP_THREADS; None where that is not set: one a processor.

    For machines shared without fences, where this process sees more processors than it should use. Raises ConfigError.
    """
    given = os.environ.get(_THREADS)
    if not given:
        return None
    if not given.isdecimal() or int(given) < 1:
        raise ConfigError(f"{_THREADS}={given}: expected a number of threads from 1, or unset it")
    return int(given)
