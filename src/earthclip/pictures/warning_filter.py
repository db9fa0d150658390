"""Keeps Pillow's warnings about odd metadata and large pictures from the user's screen, safely with threads.

``warnings.catch_warnings`` alone restores the wrong filters when two threads leave it in the other order.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator


class _SharedFilter:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved: warnings.catch_warnings[None] | None = None

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._saved is not None:
                self._saved.__exit__(None, None, None)


_shared = _SharedFilter()


@contextlib.contextmanager
def without_pillow_warnings() -> Iterator[None]:
    """While any thread is inside, warnings raised in Pillow's modules are dropped; all others pass."""
    _shared.enter()
    try:
        yield
    finally:
        _shared.leave()
