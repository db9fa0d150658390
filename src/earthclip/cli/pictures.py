"""The pictures that command-line arguments mean: files as named, folders by what lies in them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from earthclip.prediction import Failure

_KINDS = "jpg jpeg jpe jfif png tif tiff webp gif bmp jp2 avif ppm pgm"
SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())


def find_pictures(arguments: Iterable[Path]) -> tuple[list[Path], list[Failure]]:
    """Files as given, folders searched to the bottom in sorted order for ``SUFFIXES``; hidden names are passed over.

    A folder without pictures, or that cannot be read, is a Failure. Links to folders are not followed.
    """
    files: list[Path] = []
    failures: list[Failure] = []
    for argument in arguments:
        if not argument.is_dir():
            files.append(argument)
            continue
        unreadable: list[OSError] = []
        found = _search(argument, unreadable)
        files += found
        failures += [
            Failure(str(error.filename), f"{error.filename}: the folder cannot be read ({error.strerror})")
            for error in unreadable
        ]
        if not found and not unreadable:
            fault = f"{argument}: a folder without pictures; expected files that end in one of {_KINDS}"
            failures.append(Failure(str(argument), fault))
    return files, failures


def _search(folder: Path, unreadable: list[OSError]) -> list[Path]:
    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(parent, name)
            for name in sorted(names)
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        ]
    return found
