"""One trainer a folder: a lock that the system lets go of when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from earthclip.errors import OutputError

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
