"""The metadata of picture files: what it reveals, read from damaged and hostile files too, and copies without it.

Nothing here is used to locate a picture, and nothing is shown unless asked for: ``earthclip privacy check``.
"""

from __future__ import annotations

from pathlib import Path

from earthclip.errors import InputError
from earthclip.pictures.metadata.findings import Finding, Metadata, Position
from earthclip.pictures.metadata.reading import metadata_of

__all__ = ["Finding", "Metadata", "Position", "metadata_of", "read_bytes", "read_metadata"]

_LARGEST_FILE = 1 << 30


def read_metadata(path: str | Path) -> Metadata:
    """What the metadata of the file at ``path`` reveals. Raises InputError when the file cannot be read."""
    return metadata_of(read_bytes(Path(path)))


def read_bytes(path: Path) -> bytes:
    """All of a file. Raises InputError when it cannot be read or is larger than 1 GiB."""
    try:
        if path.is_file() and path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path}: larger than 1 GiB, too large for a photo; give a smaller file")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
