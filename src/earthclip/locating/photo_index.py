"""An opened index of photos with known places, and the search in it. Its files: ``index_files.py``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float16, Float32, Float64, Int64

from earthclip.configuration import to_mapping, usable_processors
from earthclip.errors import InputError
from earthclip.files import sha256_of
from earthclip.locating.approximate import Approximate, open_approximate
from earthclip.locating.evidence import CANDIDATES, NEIGHBOURS, Neighbours, Weights
from earthclip.locating.gallery import score, widen
from earthclip.locating.index_files import (
    HEADER,
    About,
    PhotoRecord,
    arrays,
    byte_counts,
    damaged,
    file_name,
    header_of,
    read_about,
    remove_left,
    whole_photos,
    write_about,
)
from earthclip.locating.whitening import Whitening
from earthclip.models.config import IMAGE_ENCODER
from earthclip.models.folder import ModelFolder

_COPIED = 65536  # rows that are copied at once
_BLOCK = 65536  # photos whose similarities are held at once by each thread
_SAMPLE = 64  # rows that are looked at when an index is opened


@dataclass(frozen=True, eq=False)
class PhotoIndex:
    """An opened index; ``coordinates`` [n, 2] are degrees, ``embeddings`` [n, d] a memory map of unit rows."""

    folder: Path
    about: About
    coordinates: Float64[np.ndarray, "n 2"]
    embeddings: Float16[np.ndarray, "n d"] = field(repr=False)

    def __len__(self) -> int:
        return self.about.photos

    @property
    def name(self) -> str:
        """What it is called in messages: its folder."""
        return str(self.folder)

    @property
    def weights(self) -> Weights:
        """How much its photos count: as fitted, else the cautious default."""
        return self.about.weights or Weights()

    @cached_property
    def fingerprint(self) -> str:
        """What tells it from the same index at another time: a hash over its ``index.json``."""
        return hashlib.sha256(json.dumps(to_mapping(self.about), sort_keys=True).encode()).hexdigest()[:16]

    def check_model(self, folder: ModelFolder) -> None:
        """Raise InputError unless the embeddings are of this model's image encoder."""
        found = fingerprint_of(folder)
        if found != self.about.fingerprint:
            same = self.about.model == folder.config.name
            other = f"another version of '{self.about.model}'" if same else f"the model '{self.about.model}'"
            command = f"earthclip index build SOURCE -o '{self.folder}' --model {folder.config.name} --force"
            raise InputError(
                f"{self.folder}: an index of {other}, not of this '{folder.config.name}'; use the model that made it, "
                f"or rebuild it: {command}"
            )

    @property
    def is_approximate(self) -> bool:
        """Whether a search looks into a file that makes it fast, and not at all photos."""
        return self._approximate is not None

    def search(self, embeddings: Float32[np.ndarray, "b d"], paths: Sequence[str | None]) -> list[Neighbours]:
        """The photos most similar to each of a batch of pictures. ``paths`` are of no use here; see ``LeaveOut``."""
        return self.compared(embeddings, self.nearest(embeddings, CANDIDATES if self.weights.whitened else NEIGHBOURS))

    def compared(self, embeddings: Float32[np.ndarray, "b d"], found: Sequence[Neighbours]) -> list[Neighbours]:
        """The 50 best of the photos found for each query, by the similarity that the weights were fitted for."""
        if self._whitening is None:
            return [Neighbours(near.rows[:NEIGHBOURS], near.similarities[:NEIGHBOURS]) for near in found]
        best = []
        for query, near in zip(self._whitening(embeddings), found, strict=True):
            similarities = self._whitening(self.embeddings[near.rows]) @ query
            order = np.argsort(-similarities, kind="stable")[:NEIGHBOURS]
            best.append(Neighbours(near.rows[order], similarities[order].astype(np.float64)))
        return best

    @cached_property
    def _whitening(self) -> Whitening | None:
        first = min(self.weights.whitened, len(self))  # photos that were added since change nothing
        return Whitening.of(self.embeddings[:first]) if first else None

    def nearest(
        self,
        embeddings: Float32[np.ndarray, "b d"],
        k: int,
        left_out: Sequence[np.ndarray] | None = None,
    ) -> list[Neighbours]:
        """The ``k`` most similar photos of each query, best first; fewer where there are no more.

        ``left_out`` are the rows that each query must not find. Photos are found exactly, but for an index of more than
        a million photos that has a file for it, without ``left_out``: see approximate.py. Similarities are exact.
        Beside the answers, memory is that of one block of 65,536 similarities for each query and thread. Raises
        InputError for embeddings of another width.
        """
        if embeddings.shape[1] != self.about.embedding_size:
            found, expected = embeddings.shape[1], self.about.embedding_size
            raise InputError(f"embeddings of {found} numbers, those of {self.folder} have {expected}; use its model")
        lengths = np.sqrt(np.vecdot(embeddings, embeddings))[:, None]
        queries = np.asarray(embeddings / np.maximum(lengths, 1e-12), np.float32)  # a mean of views is shorter than 1

        def best_of(first: int) -> tuple[np.ndarray, np.ndarray]:
            block = self.embeddings[first : first + _BLOCK]
            similarities = np.empty((len(queries), len(block)), np.float32)
            score(queries, block, similarities)
            for query, rows in enumerate(left_out or ()):
                similarities[query, rows[(rows >= first) & (rows < first + len(block))] - first] = -np.inf
            return _best(similarities, np.broadcast_to(np.arange(first, first + len(block)), similarities.shape), k)

        shortcut = self._approximate if left_out is None else None
        firsts = range(0 if shortcut is None else shortcut.photos, len(self), _BLOCK)
        with ThreadPoolExecutor(min(usable_processors(), len(firsts) or 1)) as pool:
            parts = list(pool.map(best_of, firsts))
        if shortcut is not None:
            parts.append(self._best_among(queries, shortcut.rows(queries, k), k))
        if not parts:
            return [Neighbours(np.empty(0, np.int64), np.empty(0)) for _ in queries]
        whole, numbers = (np.concatenate(sides, axis=1) for sides in zip(*parts, strict=True))
        similarities, rows = _best(whole, numbers, k)
        kept = np.isfinite(similarities)
        return [
            Neighbours(row[keep], similarity[keep].astype(np.float64))
            for row, similarity, keep in zip(rows, similarities, kept, strict=True)
        ]

    def _best_among(
        self, queries: Float32[np.ndarray, "b d"], rows: Sequence[Int64[np.ndarray, " c"]], k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ``k`` best of given rows for each query, as ``_best`` gives them; -inf where there are no more."""
        whole, numbers = np.full((len(queries), k), -np.inf, np.float32), np.zeros((len(queries), k), np.int64)
        for number, (query, some) in enumerate(zip(queries, rows, strict=True)):
            wide = np.empty((len(some), self.about.embedding_size), np.float32)
            widen(self.embeddings[some], wide)
            similarities, best = _best(np.vecdot(wide, query)[None], some[None], k)
            whole[number, : best.shape[1]], numbers[number, : best.shape[1]] = similarities[0], best[0]
        return whole, numbers

    @cached_property
    def _approximate(self) -> Approximate | None:
        return open_approximate(self.folder, self.about)

    def record(self, row: int) -> PhotoRecord:
        """What is known of a photo. Raises InputError for a damaged record."""
        start, end = self._line_ends[row], self._line_ends[row + 1]
        try:
            return PhotoRecord(**json.loads(self._records[start:end].tobytes()))
        except (ValueError, TypeError) as error:
            raise damaged(self.folder, "photos") from error

    def records(self) -> list[PhotoRecord]:
        """The records of all photos, in order. Raises InputError for a damaged one."""
        return [self.record(row) for row in range(len(self))]

    @cached_property
    def _records(self) -> np.memmap[Any, Any]:
        path = self.folder / file_name("photos", self.about.generation)
        return np.memmap(path, np.uint8, "r", shape=(self.about.record_bytes,))

    @cached_property
    def _line_ends(self) -> Int64[np.ndarray, " n_plus_1"]:
        """Where each line of the records begins, and where the last one ends."""
        step = 1 << 24  # bytes compared at once, or that would take as much memory again
        firsts = range(0, self.about.record_bytes, step)
        ends = [np.flatnonzero(self._records[first : first + step] == ord("\n")) + first + 1 for first in firsts]
        found = np.concatenate([np.zeros(1, np.int64), *ends])
        if len(found) != len(self) + 1:
            raise damaged(self.folder, "photos")
        return found


def open_index(folder: str | Path) -> PhotoIndex:
    """The index in a folder. Raises InputError when there is none, or it is unfinished, cut short or damaged."""
    folder = Path(folder)
    about = read_about(folder)
    if not about.complete:
        raise InputError(
            f"{folder}: an unfinished index of {about.photos:,} photos; continue it: earthclip index build SOURCE -o "
            f"'{folder}' --resume"
        )
    if whole := whole_photos(folder, about) - about.photos:
        raise damaged(folder, f"cut short by {-whole:,} of {about.photos:,} photos")
    found = map_index(folder, about)
    sample = np.linspace(0, len(found) - 1, min(_SAMPLE, len(found))).astype(np.int64)
    if not whole_rows(found.embeddings[sample], found.coordinates[sample]).all():
        raise damaged(folder, "embeddings")
    return found


def map_index(folder: Path, about: About) -> PhotoIndex:
    """The photos that ``about`` counts, as they lie on disk."""
    maps = [
        np.memmap(folder / file_name(what, about.generation), kind, "r", HEADER, (about.photos, width))
        if about.photos
        else np.empty((0, width), kind)
        for what, kind, width in arrays(about)
    ]
    return PhotoIndex(folder, about, np.asarray(maps[1], np.float64), maps[0])


def whole_rows(embeddings: np.ndarray, coordinates: np.ndarray) -> Bool[np.ndarray, " n"]:
    """Which rows can be as they were written: of length 1, at a place that is not (0, 0). Lost pages read as zeros."""
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(np.asarray(embeddings, np.float32), axis=1)
        placed = (np.abs(coordinates[:, 0]) <= 90) & (np.abs(coordinates[:, 1]) <= 180) & coordinates.any(axis=1)
        return np.asarray((np.abs(lengths - 1) < 0.01) & placed)


def rewritten(index: PhotoIndex, records: list[PhotoRecord], kept: Bool[np.ndarray, " n"]) -> PhotoIndex:
    """The index with the rows that stay, in files of the next generation; the old ones are removed."""
    folder, rows = index.folder, np.flatnonzero(kept)
    lengths = [len(record.line) for record in records]
    weights = index.about.weights
    if weights is not None and weights.whitened:  # by the photos that were there when it was fitted, and stay
        left = int(kept[: weights.whitened].sum())
        weights = dataclasses.replace(weights, whitened=left) if left else None
    after = dataclasses.replace(
        index.about,
        photos=len(rows),
        record_bytes=sum(lengths),
        generation=index.about.generation + 1,
        weights=weights,
    )
    for what in byte_counts(after):
        with (folder / file_name(what, after.generation)).open("wb") as file:
            for block in _blocks(what, index, records, rows, after):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    write_about(folder, after)
    remove_left(folder, after.generation)
    return map_index(folder, after)


def _blocks(
    what: str, index: PhotoIndex, records: list[PhotoRecord], rows: np.ndarray, after: About
) -> Iterator[bytes | memoryview]:
    if what != "photos":
        yield header_of(what, after)
    for first in range(0, len(rows), _COPIED):
        part = slice(first, first + _COPIED)
        if what == "photos":
            yield b"".join(record.line for record in records[part])
        else:
            values = index.embeddings if what == "embeddings" else index.coordinates
            yield np.ascontiguousarray(values[rows[part]]).data


def fingerprint_of(folder: ModelFolder) -> str:
    """SHA-256 over what a model's embeddings of pictures depend on. Raises ModelError for a model without any."""
    path = folder.file(IMAGE_ENCODER)
    weights = _sha256_at(path, path.stat().st_mtime_ns)
    parts = weights, json.dumps(to_mapping(folder.preprocessing), sort_keys=True)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@lru_cache(maxsize=16)
def _sha256_at(path: Path, mtime_ns: int) -> str:
    """The hash of a file that is asked for with every question."""
    return sha256_of(path)


def _best(similarities: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` largest of each row, largest first, equal ones by their number; and the numbers."""
    if similarities.shape[1] > k:
        chosen = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
        similarities, rows = (np.take_along_axis(side, chosen, axis=1) for side in (similarities, rows))
    order = np.lexsort((rows, -similarities), axis=1)
    return np.take_along_axis(similarities, order, axis=1), np.take_along_axis(rows, order, axis=1)
