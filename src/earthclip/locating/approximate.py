"""Search in more than a million photos: a kept file says which of them are worth comparing with a picture.

The file, ``search-G.faiss``, divides the first rows of an index into lists around centres and keeps one bit a number of
each embedding. A search looks into the lists nearest to a picture, and the best of these rows are compared exactly.
Photos that were added since are all compared. The file is a shortcut and nothing else: where it is missing, every photo
is compared, and similarities are the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32, Int64

from earthclip.configuration import usable_processors
from earthclip.files import atomic_write
from earthclip.locating.index_files import About, file_name

EXACT = 1_000_000  # photos up to which all are compared
_REST = 10  # the file is made again when the photos added since are more than a tenth of all
_POINTS = 40  # rows for each list that its centre is learned from
_ROUNDS = 8  # of learning
_PROBED = 64  # lists that are looked into
_LEAST_COMPARED = 200  # rows that are compared exactly, and at least twice as many as are asked for
_ROWS = 65536  # added at once

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Approximate:
    """An opened file; its rows are the first ``photos`` of the index."""

    photos: int
    _file: Any

    def rows(self, queries: Float32[np.ndarray, "b d"], k: int) -> list[Int64[np.ndarray, " c"]]:
        """Rows that may be among the ``k`` most similar of each unit query, ascending."""
        _faiss().omp_set_num_threads(usable_processors())  # which holds for the thread that asks
        found = self._file.search(queries, min(max(_LEAST_COMPARED, 2 * k), self.photos))[1]
        return [np.unique(row[(row >= 0) & (row < self.photos)]) for row in found]


def open_approximate(folder: Path, about: About) -> Approximate | None:
    """The file of an index, mapped; None where all photos are to be compared. One line says why, if they are many."""
    if about.photos <= EXACT:
        return None
    slow = f"{folder}: every search compares all {about.photos:,} photos"
    if not _installed():
        _logger.warning("warning: %s; pip install 'earthclip[index]' makes it fast", slow)
        return None
    if (found := _serving(folder, about)) is None:
        _logger.warning("warning: %s; earthclip index build SOURCE -o '%s' --resume makes it fast", slow, folder)
        return None
    return Approximate(found.ntotal, found)


def keep_approximate(
    folder: Path,
    about: About,
    embeddings: Float16[np.ndarray, "n d"],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the file of an index that needs one and has none for most of its photos. It is there when it is whole.

    What is interrupted is made from the start: that takes minutes, not the hours of the embeddings. ``progress`` hears
    of rows done and of all.
    """
    if about.photos <= EXACT or not _installed():
        return
    found = _serving(folder, about)
    if found is not None and about.photos - found.ntotal <= about.photos // _REST:
        return
    faiss = _faiss()
    n, d = embeddings.shape
    lists = 1 << max(1, round(np.log2(np.sqrt(n))))
    if progress:
        progress(0, n)
    faiss.omp_set_num_threads(usable_processors())
    centres = faiss.IndexFlatIP(d)
    made = faiss.IndexIVFRaBitQ(centres, d, lists, faiss.METRIC_INNER_PRODUCT)
    made.cp.niter, made.cp.seed, made.cp.spherical = _ROUNDS, 1, True
    sample = np.sort(np.random.default_rng(0).permutation(n)[: _POINTS * lists])
    made.train(np.asarray(embeddings[sample], np.float32))
    for first in range(0, n, _ROWS):
        made.add(np.asarray(embeddings[first : first + _ROWS], np.float32))
        if progress:
            progress(min(first + _ROWS, n), n)
    with atomic_write(folder / file_name("search", about.generation), overwrite=True) as file:
        faiss.write_index(made, faiss.PyCallbackIOWriter(file.write))


def _installed() -> bool:
    return find_spec("faiss") is not None


def _faiss() -> Any:
    """The library; its types know a part of it."""
    import faiss

    return faiss


def _serving(folder: Path, about: About) -> Any:
    """The mapped file of an index; None where it is missing, damaged or of other photos."""
    faiss = _faiss()
    try:
        found = faiss.read_index(str(folder / file_name("search", about.generation)), faiss.IO_FLAG_MMAP_IFC)
        found.nprobe = min(_PROBED, found.nlist)
    except (RuntimeError, AttributeError):
        return None
    return found if 0 < found.ntotal <= about.photos and found.d == about.embedding_size else None
