"""How long it takes to score all of a float16 map of places, beside reading it once.

    python -m benchmarks.search [--places 1000000] [--width 512] [--json FILE]

The map lies in a file that is read through memory, as a model's gallery is. Times are medians of rounds in which each
measure has its turn, since others use the machine too; "read" sums all bytes with as many threads as the search has.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from earthclip.configuration import usable_processors
from earthclip.locating.gallery import Gallery

QUERIES = (1, 2, 16)
_AT_ONCE = 50_000


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = measured(_written(Path(folder) / "map.npy", options.places, options.width), options.rounds)
    for name, milliseconds in found.items():
        print(f"{name:12} {milliseconds:8.1f} ms  {milliseconds / found['read']:5.2f} x read")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


def measured(places: np.ndarray, rounds: int) -> dict[str, float]:
    """Milliseconds of reading the map, and of scoring all of it for so many queries."""
    gallery = Gallery(np.zeros((len(places), 2)), places, "")
    rng = np.random.default_rng(1)
    measures: dict[str, Callable[[], object]] = {"read": lambda: _read(places)}
    for count in QUERIES:
        queries = rng.normal(size=(count, places.shape[1])).astype(np.float32)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        measures[f"queries {count}"] = lambda queries=queries: gallery.logits(queries, 0.0)  # type: ignore[misc]
    times: dict[str, list[float]] = {name: [] for name in measures}
    for turn in range(rounds + 1):
        for name, measure in measures.items():
            began = time.perf_counter()
            measure()
            if turn:  # the first brings the file into memory
                times[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(taken) for name, taken in times.items()}


def _read(places: np.ndarray) -> None:
    parts = np.array_split(places.reshape(-1).view(np.uint64), usable_processors())
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(np.max, parts))


def _written(path: Path, count: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    places = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(count, width))
    for first in range(0, count, _AT_ONCE):
        rows = rng.normal(size=(min(_AT_ONCE, count - first), width)).astype(np.float32)
        places[first : first + len(rows)] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    places.flush()
    del places
    return np.asarray(np.load(path, mmap_mode="r"))


if __name__ == "__main__":
    main()
