"""How fast an index of a million photos and more is searched: exactly, and through its approximate file.

    python -m benchmarks.photo_index [--rows 5000000] [--embeddings FILE.npy] [--usearch] [--json FILE]

Rows of 512 numbers lie between embeddings of real views and those most like them, disturbed; random rows would say
nothing. FILE.npy [n, d] are embeddings of your own; without it, `orbit` encodes 3,000 views of each of four imageries.
Recall is that of the ten best photos. With --usearch, an HNSW graph of usearch (which has to be installed) is built of
the first 100,000 rows for comparison. The folder of the temporary files needs 1.2 KB a row.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np

from benchmarks.image_index import VALIDATION, embeddings
from earthclip import load
from earthclip.configuration import usable_processors
from earthclip.locating.approximate import EXACT, keep_approximate
from earthclip.locating.index_files import About, PhotoRecord, append
from earthclip.locating.photo_index import PhotoIndex, open_index

WIDTH, BEST, AT_ONCE = 512, 10, 65_536
_LIKE, _NOISE = 10, 0.2  # neighbours of a view, and the length of what disturbs a row of length 1
_BATCH = 16
_USEARCH_ROWS = 100_000


class Likenesses:
    """Rows like real embeddings, as many as wanted."""

    def __init__(self, real: np.ndarray, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        basis = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, real.shape[1])))[0].astype(np.float32)
        rows = unit(real.astype(np.float32)) @ basis.T
        near = []
        for first in range(0, len(rows), 1000):
            cosines = rows[first : first + 1000] @ rows.T
            near.append(np.argpartition(-cosines, _LIKE, axis=1)[:, : _LIKE + 1])
        self._rows, self._near = rows, np.concatenate(near)

    def rows(self, n: int) -> np.ndarray:
        """Unit rows [n, 512]."""
        one = self._rng.integers(0, len(self._rows), n)
        other = self._near[one, self._rng.integers(0, _LIKE + 1, n)]
        share = self._rng.random((n, 1), dtype=np.float32)
        noise = _NOISE / np.sqrt(WIDTH) * self._rng.standard_normal((n, WIDTH), dtype=np.float32)
        return unit(self._rows[one] * (1 - share) + self._rows[other] * share + noise)


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


class Memory:
    """The most memory that is not the cache of a file, MB, while the block runs; Linux."""

    def __enter__(self) -> Memory:
        self.mb, self._ended = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            status = Path("/proc/self/status").read_text()
            self.mb = max(self.mb, int(status.partition("RssAnon:")[2].split()[0]) / 1024)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--embeddings", type=Path)
    parser.add_argument("--usearch", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if options.rows <= EXACT:
        parser.error(f"--rows: up to {EXACT:,}, every search is exact; give more")
    if options.embeddings:
        real = np.load(options.embeddings)
    else:
        locator = load("orbit")
        real = np.concatenate([embeddings(locator, name, 3000, 7)[0] for name in VALIDATION])
    real = real[np.random.default_rng(1).permutation(len(real))]
    held_out = len(real) // 10
    asked = Likenesses(real[:held_out], 1).rows(options.queries)
    with tempfile.TemporaryDirectory() as folder:
        table = measured(Path(folder), Likenesses(real[held_out:], 2), asked, options.rows)
        if options.usearch:
            table |= usearch_of(open_index(folder), asked)
    for name, value in table.items():
        print(f"{name:52} {value:,.4g}" if value < 1000 else f"{name:52} {value:,.0f}")
    if options.json:
        options.json.write_text(json.dumps(table, indent=1))


def measured(folder: Path, likenesses: Likenesses, asked: np.ndarray, n: int) -> dict[str, float]:
    about = About("made", "0", WIDTH, complete=True)
    for first in range(0, n, AT_ONCE):
        rows = range(first, min(first + AT_ONCE, n))
        records = [PhotoRecord("made", f"{row}.jpg", f"{row:064}") for row in rows]
        about = append(folder, about, records, likenesses.rows(len(rows)), np.full((len(rows), 2), 1.0))
    table: dict[str, float] = {"rows": n, "embeddings, MB": n * WIDTH * 2 / 1e6}
    index = open_index(folder)
    truths = index.nearest(asked, BEST, [np.empty(0, np.int64)] * len(asked))  # nothing left out, nothing approximate
    few = asked[: max(4, min(len(asked), 20_000_000 // n))]
    table["exact: queries a second, one at a time"] = rate(replace(index), few, 1, exact=True)
    table[f"exact: queries a second, {_BATCH} at a time"] = rate(
        replace(index), asked[: 4 * _BATCH], _BATCH, exact=True
    )
    began = time.monotonic()
    with Memory() as memory:
        keep_approximate(folder, about, index.embeddings)
    table["approximate: seconds to build"] = time.monotonic() - began
    table["approximate: most memory while building, MB"] = memory.mb
    (file,) = folder.glob("search-*.faiss")
    table["approximate: bytes a photo"] = file.stat().st_size / n
    index = open_index(folder)
    with Memory() as memory:
        found = index.nearest(asked, BEST)
    table["approximate: recall at 10"] = recall_of([near.rows for near in found], [near.rows for near in truths])
    for threads in (2, 1):
        faiss.omp_set_num_threads(threads)
        table[f"approximate: queries a second, one at a time, {threads} threads"] = rate(index, asked, 1)
    faiss.omp_set_num_threads(usable_processors())
    table[f"approximate: queries a second, {_BATCH} at a time"] = rate(index, asked, _BATCH)
    table["approximate: most memory while searching, MB"] = memory.mb
    return table


def rate(index: PhotoIndex, asked: np.ndarray, at_once: int, *, exact: bool = False) -> float:
    """Queries a second for the ten best photos."""
    began = time.monotonic()
    for first in range(0, len(asked), at_once):
        some = asked[first : first + at_once]
        index.nearest(some, BEST, [np.empty(0, np.int64)] * len(some) if exact else None)
    return len(asked) / (time.monotonic() - began)


def recall_of(found: list[np.ndarray], truths: list[np.ndarray]) -> float:
    return float(np.mean([np.isin(truth[:BEST], one).mean() for one, truth in zip(found, truths, strict=True)]))


def usearch_of(index: PhotoIndex, asked: np.ndarray) -> dict[str, float]:
    """A graph of usearch over the first rows."""
    from usearch.index import Index

    rows = np.ascontiguousarray(index.embeddings[:_USEARCH_ROWS])
    truths = np.argsort(-(asked @ rows.astype(np.float32).T), axis=1)[:, :BEST]
    graph = Index(ndim=WIDTH, metric="ip", dtype="f16")
    began = time.monotonic()
    graph.add(np.arange(len(rows)), rows, threads=usable_processors())
    table = {"usearch: rows added a second": len(rows) / (time.monotonic() - began)}
    with tempfile.TemporaryDirectory() as folder:
        graph.save(os.path.join(folder, "graph"))  # noqa: PTH118  - usearch takes text only
        table["usearch: bytes a photo"] = (Path(folder) / "graph").stat().st_size / len(rows)
    for expansion in (64, 256):
        graph.expansion_search = expansion
        began = time.monotonic()
        found = [graph.search(query, BEST, threads=1).keys.astype(np.int64) for query in asked.astype(np.float16)]
        table[f"usearch: queries a second, expansion {expansion}"] = len(asked) / (time.monotonic() - began)
        table[f"usearch: recall at 10, expansion {expansion}"] = recall_of(found, list(truths))
    return table


if __name__ == "__main__":
    main()
