"""Photos with known places, whatever they are kept in: one small interface, and what was left out with its reasons.

What a person collected is read leniently: a row that cannot be used is left out and counted, never silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BufferedIOBase
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Integer

from earthclip.errors import InputError

_EXAMPLES = 3  # kept of each reason


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

    def only(self, ids: Sequence[str], source: str) -> StoredPhotos:
        """The photos of these ids, in that order, as a manifest written by ``earthclip data split`` names them.

        Raises InputError with the count and an example when some are not here; ``source`` names who asked for them.
        """
        position = {name: i for i, name in enumerate(self.ids)}
        missing = [name for name in ids if name not in position]
        if missing:
            found = f"{len(missing):,} of {len(ids):,} ids of {source} are not in {self.name}, e.g. {shown(missing[0])}"
            raise InputError(f"{found}; split the data set again")
        return self.take(np.array([position[name] for name in ids], np.int64))


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


def shown(text: str, longest: int = 80) -> str:
    """A stranger's text as one printable line of bounded length."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= longest else f"{clean[: longest - 3]}..."
