"""An index of photos, without what would give the answer away: the same photo, and those by the same author."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from earthclip.datasets.photos import StoredPhotos
from earthclip.errors import InputError
from earthclip.files import sha256_of
from earthclip.locating.evidence import CANDIDATES, Neighbours, Weights
from earthclip.locating.photo_index import PhotoIndex
from earthclip.models.folder import ModelFolder

NEAR_IDENTICAL = 0.999  # cosine from which two photos are taken for one, saved at two sizes


class LeaveOut:
    """An index as a reference for these photos with known places, of which it may hold some itself.

    For each photo, those of the index are left out that have the same bytes, an embedding of cosine 0.999 or more, or
    the same author where authors are known. ``told`` says of how many photos that was so.
    """

    def __init__(self, index: PhotoIndex, photos: StoredPhotos) -> None:
        self.index, self._photos = index, photos
        self.coordinates: Float64[np.ndarray, "n 2"] = index.coordinates
        self._by_hash, self._by_author = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
        for row in range(len(index)):
            record = index.record(row)
            self._by_hash[record.sha256].append(row)
            if record.author and photos.authors:
                self._by_author[record.author].append(row)
        self._numbers = {photos.label(number): number for number in range(len(photos))}
        self._numbers |= {name: number for number, name in enumerate(photos.ids)}
        self.same_bytes = self.near_identical = self.same_author = self.asked = 0

    @property
    def name(self) -> str:
        """What the index is called."""
        return self.index.name

    @property
    def weights(self) -> Weights:
        """How much its photos count."""
        return self.index.weights

    @property
    def fingerprint(self) -> str:
        """That of the index."""
        return self.index.fingerprint

    def check_model(self, folder: ModelFolder) -> None:
        """Raise InputError unless the embeddings are of this model."""
        self.index.check_model(folder)

    def record(self, row: int) -> Any:
        """What is known of a photo."""
        return self.index.record(row)

    def search(self, embeddings: Float32[np.ndarray, "b d"], paths: Sequence[str | None]) -> list[Neighbours]:
        """The photos most similar to each picture, but for those left out; ``paths`` are the photos' ids or files."""
        return self.index.compared(embeddings, self.candidates(embeddings, paths))

    def candidates(self, embeddings: Float32[np.ndarray, "b d"], paths: Sequence[str | None]) -> list[Neighbours]:
        """The photos of the largest cosines, but for those left out: what ``search`` chooses from."""
        left_out = [self._rows(self._numbers[path or ""]) for path in paths]
        found = []
        for near in self.index.nearest(embeddings, CANDIDATES, left_out):
            other = near.similarities < NEAR_IDENTICAL
            self.near_identical += not other.all()
            self.asked += 1
            found.append(Neighbours(near.rows[other], near.similarities[other]))
        return found

    @property
    def told(self) -> str:
        """How many photos had others left out, for people."""
        parts = [f"the same bytes for {self.same_bytes:,}", f"a near-identical embedding for {self.near_identical:,}"]
        known = "authors are not known" if self._photos.authors is None else f"the same author for {self.same_author:,}"
        return f"of {self.asked:,} photos, {self.name} left out photos with {', '.join(parts)}; {known}"

    def _rows(self, number: int) -> Int64[np.ndarray, " r"]:
        author = self._photos.authors[number] if self._photos.authors else ""
        same, by_author = self._by_hash.get(self._hash_of(number), []), self._by_author.get(author, [])
        self.same_bytes += bool(same)
        self.same_author += bool(by_author)
        return np.array([*same, *by_author], np.int64)

    def _hash_of(self, number: int) -> str:
        try:
            content = self._photos.open(number)
            if isinstance(content, str):
                return sha256_of(Path(content))
            with content:
                return hashlib.sha256(content.read()).hexdigest()
        except (OSError, InputError):  # gone since it was read: its embedding is compared all the same
            return ""


def with_weights(index: PhotoIndex, weights: Weights) -> PhotoIndex:
    """The index with other weights, for this process only."""
    return replace(index, about=replace(index.about, weights=weights))
