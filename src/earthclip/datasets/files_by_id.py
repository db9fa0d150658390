"""The file of each row of a table: named by its id, as it is or nearly, flat or in folders."""

from __future__ import annotations

import os
import re
from pathlib import Path

from earthclip.datasets.folder import walk
from earthclip.datasets.photos import PICTURE_SUFFIXES

_FLATTENED = re.compile(r"^([0-9a-f]{2})_([0-9a-f]{2})_(.+)$")  # MP-16's ab/cd/name.jpg as one name


class FilesById:
    """Finds photos in a folder; each folder in it is listed once, and all of it only when that is not enough."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listings: dict[str, dict[str, str]] = {}
        self._anywhere: dict[str, str] | None = None

    def find(self, name: str) -> str | None:
        """The path in the folder of the photo with this id, None where there is none or several could be meant.

        Tried in this order: the id as a path; with another suffix or one added; ``ab_cd_name`` as ``ab/cd/name`` and
        the reverse; the last part of it, anywhere in the folder.
        """
        for candidate in _spellings(name):
            parent, _, last = candidate.rpartition("/")
            listing = self._listing(parent)
            found = listing.get(last) or listing.get(_stem(last))
            if found:
                return f"{parent}/{found}" if parent else found
        if self._anywhere is None:
            self._anywhere = self._index()
        last = name.replace("\\", "/").rpartition("/")[2]
        return self._anywhere.get(last) or self._anywhere.get(_stem(last)) or None

    def _listing(self, parent: str) -> dict[str, str]:
        if parent not in self._listings:
            names: list[str] = []
            if ".." not in parent.split("/"):  # an id must not lead out of the folder
                try:
                    names = sorted(entry.name for entry in os.scandir(self.folder / parent) if entry.is_file())
                except (OSError, ValueError):
                    names = []
            self._listings[parent] = _by_stem(names)
        return self._listings[parent]

    def _index(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in walk(self.folder):
            parent, _, last = path.rpartition("/")
            for key in {last, _stem(last)}:
                before = found.setdefault(key, path)
                if before.rpartition("/")[0] != parent:
                    found[key] = ""  # two folders have it, and which one is meant nobody knows
        return found


def _spellings(name: str) -> list[str]:
    name = name.replace("\\", "/").removeprefix("./")
    if name.startswith("/"):
        return []
    spellings = [name]
    if flattened := _FLATTENED.match(name):
        spellings.append("/".join(flattened.groups()))
    if "/" in name:
        spellings += [name.replace("/", "_"), name.rpartition("/")[2]]
    return spellings


def _by_stem(names: list[str]) -> dict[str, str]:
    listing: dict[str, str] = {}
    for suffix in reversed(PICTURE_SUFFIXES):  # so that the first of them wins
        listing |= {name[: -len(suffix)]: name for name in names if name.lower().endswith(suffix)}
    return listing | {name: name for name in names}


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    return stem if suffix.lower() in PICTURE_SUFFIXES else name
