"""Photos with known places, whatever they are kept in: one small interface, and what was left out with its reasons.

What a person collected is read leniently: a row that cannot be used is left out and counted, never silently.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BufferedIOBase
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Integer

from earthclip.pictures.finding import walk
from earthclip.pictures.kinds import PICTURE_SUFFIXES, PassedOver
from earthclip.pictures.prepare import Failure

_EXAMPLES = 3  # kept of each reason
_FLICKR_AUTHOR = re.compile(r"_(\d+@N\d\d)(?:\.\w+)?$")  # of Im2GPS3k's names: ID_SECRET_SERVER_AUTHOR.jpg
_FLATTENED = re.compile(r"^([0-9a-f]{2})_([0-9a-f]{2})_(.+)$")  # MP-16's ab/cd/name.jpg as one name


@dataclass(eq=False)
class Skipped:
    """What was left out: how many for each reason, and the first few names; truthy when there is any."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str, count: int = 1) -> None:
        """Count one more (or ``count``) for a reason; ``name`` is what a person finds it by."""
        self.counts[reason] += count
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(shown(name))

    @property
    def total(self) -> int:
        """How many were left out for all reasons."""
        return sum(self.counts.values())

    def __bool__(self) -> bool:
        return self.total > 0

    def __str__(self) -> str:
        parts = [
            f"{count:,} {reason} (e.g. {', '.join(self.examples[reason])})"
            for reason, count in sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        ]
        return f"{self.total:,} left out: {'; '.join(parts)}" if parts else "nothing left out"


@runtime_checkable
class PhotoSet(Protocol):
    """Photos with known places. ``coordinates`` are degrees with longitude in [-180, 180), ``ids`` are distinct."""

    name: str
    ids: list[str]
    coordinates: Float[np.ndarray, "n 2"]
    authors: list[str] | None
    skipped: Skipped

    def __len__(self) -> int: ...

    def open(self, index: int) -> str | BufferedIOBase:
        """The photo as a path, or as a file in memory; raises InputError when it cannot be had any more."""

    def take(self, indices: Integer[np.ndarray, " m"]) -> PhotoSet:
        """The photos of these indices, in that order."""


@runtime_checkable
class Store(Protocol):
    """Where the bytes of photos are; rows are those of the whole store, however few of them a set has."""

    def open(self, row: int) -> str | BufferedIOBase:
        """The photo of a row, as PhotoSet.open gives it."""

    def label(self, row: int) -> str:
        """The name of its file, with its suffix, for messages."""


@dataclass(eq=False)
class StoredPhotos:
    """A PhotoSet over a store; ``rows`` [n] are the photos' rows in it. Can be sent to another process."""

    name: str
    ids: list[str]
    coordinates: Float[np.ndarray, "n 2"]
    rows: Integer[np.ndarray, " n"]
    store: Store
    authors: list[str] | None = None
    skipped: Skipped = field(default_factory=Skipped)

    def __len__(self) -> int:
        return len(self.ids)

    def open(self, index: int) -> str | BufferedIOBase:
        """The photo as a path, or as a file in memory. Raises InputError."""
        return self.store.open(int(self.rows[index]))

    def label(self, index: int) -> str:
        """The name of the photo's file, with its suffix, for messages."""
        return self.store.label(int(self.rows[index]))

    def take(self, indices: Integer[np.ndarray, " m"]) -> StoredPhotos:
        """The photos of these indices, in that order; ``skipped`` stays that of the whole."""
        chosen = [int(i) for i in indices]
        return replace(
            self,
            ids=[self.ids[i] for i in chosen],
            coordinates=self.coordinates[chosen],
            rows=self.rows[chosen],
            authors=None if self.authors is None else [self.authors[i] for i in chosen],
        )


@dataclass(frozen=True, eq=False)
class FileStore:
    """Photos as files of one folder; ``names`` are their paths in it."""

    folder: Path
    names: list[str]

    def open(self, row: int) -> str:
        """The path of the photo."""
        return str(self.folder / self.names[row])

    def label(self, row: int) -> str:
        """The path of the photo."""
        return self.open(row)


class FilesById:
    """Finds photos in a folder; each folder in it is listed once, and all of it only when that is not enough."""

    def __init__(self, folder: Path, anywhere: bool = True) -> None:
        """Without ``anywhere``, a photo is only where its id says, and in no other folder."""
        self.folder, self._anywhere = folder, anywhere
        self._listings: dict[str, dict[str, str]] = {}
        self._index: dict[str, str] | None = None

    def find(self, name: str) -> str | None:
        """The path in the folder of the photo with this id, None where there is none or several could be meant.

        Tried in this order: the id as a path; with another suffix or one added; ``ab_cd_name`` as ``ab/cd/name`` and
        the reverse; the last part of it, anywhere in the folder. Composed and decomposed letters are the same.
        """
        name = nfc(name).replace("\\", "/").removeprefix("./")
        for candidate in _spellings(name, self._anywhere):
            parent, _, last = candidate.rpartition("/")
            listing = self._listing(parent)
            if found := listing.get(last) or listing.get(stem_of(last)):
                return found
        if not self._anywhere:
            return None
        if self._index is None:
            self._index = self._all()
        last = name.rpartition("/")[2]
        return self._index.get(last) or self._index.get(stem_of(last)) or None

    def _listing(self, parent: str) -> dict[str, str]:
        if parent not in self._listings:
            names: list[str] = []
            # An id must not lead out of the folder
            spellings = [] if ".." in parent.split("/") else [parent, unicodedata.normalize("NFD", parent)]
            for spelling in dict.fromkeys(spellings):
                try:
                    entries = [entry.name for entry in os.scandir(self.folder / spelling) if entry.is_file()]
                except (OSError, ValueError):
                    continue
                names += [f"{spelling}/{name}" if spelling else name for name in sorted(entries)]
            self._listings[parent] = _by_name(names)
        return self._listings[parent]

    def _all(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for file in walk(self.folder, PICTURE_SUFFIXES, PassedOver()):
            if isinstance(file, Failure):
                continue
            path = file.relative_to(self.folder).as_posix()
            parent, _, last = nfc(path).rpartition("/")
            for key in {last, stem_of(last)}:
                before = found.setdefault(key, path)
                if nfc(before).rpartition("/")[0] != parent:
                    found[key] = ""  # two folders have it, and which one is meant nobody knows
        return found


def authors_in(ids: Sequence[str]) -> list[str] | None:
    """The Flickr authors that the file names end in, as those of Im2GPS3k do; None unless all do."""
    found = [match[1] for name in ids if (match := _FLICKR_AUTHOR.search(name))]
    return found if found and len(found) == len(ids) else None


def stem_of(name: str) -> str:
    """The name without the suffix of a picture, if it has one."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    return stem if suffix.lower() in PICTURE_SUFFIXES else name


def nfc(text: str) -> str:
    """The text with composed letters: macOS may write an é as e and an accent, which is the same name."""
    return unicodedata.normalize("NFC", text)


def _spellings(name: str, anywhere: bool) -> list[str]:
    if name.startswith("/"):
        return []
    spellings = [name]
    if flattened := _FLATTENED.match(name):
        spellings.append("/".join(flattened.groups()))
    if "/" in name:
        spellings += [name.replace("/", "_"), *([name.rpartition("/")[2]] if anywhere else [])]
    return spellings


def _by_name(paths: list[str]) -> dict[str, str]:
    """Paths in one folder by their last part, and by that without its suffix."""
    names = {nfc(path.rpartition("/")[2]): path for path in paths}
    listing: dict[str, str] = {}
    for suffix in reversed(PICTURE_SUFFIXES):  # so that the first of them wins
        listing |= {name[: -len(suffix)]: path for name, path in names.items() if name.lower().endswith(suffix)}
    return listing | names


def shown(text: str, longest: int = 80) -> str:
    """A stranger's text as one printable line of bounded length."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= longest else f"{clean[: longest - 3]}..."
