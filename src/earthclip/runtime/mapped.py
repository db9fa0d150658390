"""Memory of a file that is mapped and read once: given back while the reading goes on, not at the end of it."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_EVERY_SECONDS = 0.01
_MAPS = Path("/proc/self/maps")


@contextlib.contextmanager
def mapping_let_go(path: Path) -> Iterator[None]:
    """Inside, pages of ``path`` that the process has mapped and read do not stay in its memory.

    A runtime that brings weights into a form of its own would otherwise hold them twice for as long as it lives. The
    pages are clean, so letting go loses nothing: whoever reads them again gets them from the file. Linux only;
    elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux") or not path.is_file():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_let_go_until, args=(str(path.resolve()), ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _let_go_until(path: str, ended: threading.Event) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    dont_need = 4  # MADV_DONTNEED, the same on every Linux
    while True:
        last = ended.wait(_EVERY_SECONDS)
        for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
            # The path comes sixth and may have spaces in it; only mappings nobody can have written to are let go.
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and fields[5] == path and "w" not in fields[1]:
                start, end = (int(edge, 16) for edge in fields[0].split("-"))
                library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), dont_need)
        if last:
            return
