"""Writing files so that a kill, a full disk or a second run never leaves half a file or takes the user's own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from earthclip.errors import OutputError


@contextlib.contextmanager
def atomic_write(path: Path, *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """A binary file that appears under ``path`` only when the block ends well.

    Raises OutputError when ``path`` exists and ``overwrite`` is false, or when its folder cannot be written.
    """
    if not overwrite:
        refuse_existing(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise OutputError(f"{path}: cannot write there ({error.strerror}); choose a folder you may write to") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{path}: writing failed ({error.strerror})") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def refuse_existing(path: Path) -> None:
    """Raise OutputError when something stands at ``path`` already, before any work is done for it."""
    if path.exists():
        raise OutputError(f"{path}: exists already; choose another name, or --force to replace it")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
