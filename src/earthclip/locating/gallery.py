"""Candidate places with their cached embeddings, and a picture's score at each of them."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32, Float64

from earthclip.configuration import usable_processors
from earthclip.errors import InputError, OutputError
from earthclip.files import atomic_write, home
from earthclip.geo.cells import PlaceCells
from earthclip.models.config import GALLERY, LOCATION_ENCODER, LOCATION_PHASES
from earthclip.models.encoders import LocationEncoder, Progress
from earthclip.models.folder import ModelFolder

BLOCK = 2**20  # numbers of places at a time: 4 MB as float32; fewer, and threads wait for one another more often
_ALONE = 65536  # places up to which a second thread costs more than it brings
_FEW = 2  # queries up to which dot products are as fast as a matrix product

# Two ONNX graphs, which a test writes with the package `onnx` and compares: wide = float32(places), and
# products = float32(places) @ queries.
CONVERSION = (
    b'\x08\x08:c\n\x1f\n\x06places\x12\x04wide"\x04Cast*\t\n\x02to\x18\x01\xa0\x01\x02\x12\nconversionZ\x1a\n'
    b"\x06places\x12\x10\n\x0e\x08\n\x12\n\n\x03\x12\x01n\n\x03\x12\x01db\x18\n\x04wide\x12\x10\n\x0e\x08\x01"
    b"\x12\n\n\x03\x12\x01n\n\x03\x12\x01dB\x04\n\x00\x10\r"
)
PRODUCT = (
    b'\x08\x08:\xa4\x01\n\x1f\n\x06places\x12\x04wide"\x04Cast*\t\n\x02to\x18\x01\xa0\x01\x02\n!\n\x04wide\n'
    b'\x07queries\x12\x08products"\x06MatMul\x12\x07productZ\x1a\n\x06places\x12\x10\n\x0e\x08\n\x12\n\n\x03'
    b"\x12\x01n\n\x03\x12\x01dZ\x1b\n\x07queries\x12\x10\n\x0e\x08\x01\x12\n\n\x03\x12\x01d\n\x03\x12\x01bb"
    b"\x1c\n\x08products\x12\x10\n\x0e\x08\x01\x12\n\n\x03\x12\x01n\n\x03\x12\x01bB\x04\n\x00\x10\r"
)


def score(
    scaled: Float32[np.ndarray, "b d"], embeddings: Float16[np.ndarray, "m d"], products: Float32[np.ndarray, "b m"]
) -> None:
    """Write the float32 products of each query with each place into ``products``, block by block.

    Beyond the products, memory is that of one block: the embeddings are never in float32 as a whole. Places with the
    same embedding have the same products, wherever they stand.
    """
    rows = max(1, BLOCK // max(1, embeddings.shape[1]))
    few, columns = len(scaled) <= _FEW, np.ascontiguousarray(scaled.T)
    wide = np.empty((min(rows, len(embeddings)) if few else 0, embeddings.shape[1]), np.float32)
    for first in range(0, len(embeddings) if len(scaled) else 0, rows):
        block = embeddings[first : first + rows]
        part = products[:, first : first + len(block)]
        if few:  # for one query, a matrix product would add up the last places of a block in another order
            widen(block, wide[: len(block)])
            for query, row in zip(scaled, part, strict=True):
                np.vecdot(wide[: len(block)], query, out=row)
        else:
            (found,) = _session(PRODUCT).run(None, {"places": block, "queries": columns})
            part[:] = found.T


def widen(values: Float16[np.ndarray, "n d"], result: Float32[np.ndarray, "n d"]) -> None:
    """Float16 to float32, exactly; ``astype`` takes 6 times as long.

    To move the bits alone leaves what is subnormal in float16, one number in 900 of an embedding, subnormal in float32
    too, and products of those are slow on Intel's processors.
    """
    session = _session(CONVERSION)
    binding = session.io_binding()
    binding.bind_cpu_input("places", values)
    binding.bind_output("wide", "cpu", 0, np.float32, values.shape, result.ctypes.data)
    session.run_with_iobinding(binding)


@cache
def _session(graph: bytes) -> Any:
    """A graph on ONNX Runtime, run by the thread that asks.

    NumPy's matrix products start threads of their own, which wait for the encoder's and the readers'.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Gallery:
    """Candidate places: ``coordinates`` [m, 2] in degrees, unit ``embeddings`` [m, d], and what they came from."""

    coordinates: Float64[np.ndarray, "m 2"]
    embeddings: Float16[np.ndarray, "m d"]  # a memory map, where the cache folder can be written
    fingerprint: str  # SHA-256 over the location encoder's graphs and the gallery file

    def __len__(self) -> int:
        return len(self.coordinates)

    @cached_property
    def place_cells(self) -> PlaceCells:
        """The places arranged for questions about their probabilities, once for all pictures."""
        return PlaceCells.of(self.coordinates)

    def logits(self, image_embeddings: Float32[np.ndarray, "b d"], logit_scale: float) -> Float32[np.ndarray, "b m"]:
        """``exp(logit_scale)`` * cosine of each picture with each place, computed in float32.

        Raises InputError when the embeddings are of another width than the gallery's.
        """
        scaled = self._scaled(image_embeddings, logit_scale)
        logits = np.empty((len(image_embeddings), len(self)), np.float32)
        threads = 1 if len(self) <= _ALONE else usable_processors()
        edges = np.linspace(0, len(self), threads + 1).astype(int).tolist()
        parts = [slice(start, end) for start, end in itertools.pairwise(edges)]
        if threads == 1:
            score(scaled, self.embeddings, logits)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda part: score(scaled, self.embeddings[part], logits[:, part]), parts))
        return logits

    def _scaled(self, image_embeddings: np.ndarray, logit_scale: float) -> Float32[np.ndarray, "b d"]:
        if image_embeddings.shape[1] != self.embeddings.shape[1]:
            found, expected = image_embeddings.shape[1], self.embeddings.shape[1]
            raise InputError(f"image embeddings of {found} numbers, the gallery's have {expected}; use the same model")
        return np.float32(np.exp(logit_scale)) * image_embeddings


def open_gallery(
    folder: ModelFolder,
    location_encoder: Callable[[], LocationEncoder],
    progress: Progress | None = None,
    *,
    exact: bool = False,
) -> Gallery:
    """The gallery of a model, from the cache, or encoded by ``location_encoder()`` and put there.

    A cache of other weights or places is never used, nor with ``exact`` one that was computed in low precision; one
    that cannot be written is a warning, and the embeddings stay in memory. Raises ModelError when the model has no
    gallery or no location encoder.
    """
    coordinates = folder.gallery_coordinates()
    fingerprint = fingerprint_of(folder)
    path = home() / "galleries" / f"{folder.config.name}-{fingerprint[:16]}.npy"
    low = [path.with_name(f"{path.stem}-{precision}.npy") for precision in ("bfloat16", "float16")]
    shape = (len(coordinates), folder.config.embedding_size)
    for kept in (path,) if exact else (path, *low):
        cached = _read(kept, shape)
        if cached is not None:
            return Gallery(coordinates, cached, fingerprint)
    encoder = location_encoder()
    kept = path if encoder.precision == "float32" else path.with_name(f"{path.stem}-{encoder.precision}.npy")
    if kept.exists():
        _logger.warning("warning: %s is damaged, so the places are encoded again", kept)
    different, places = np.unique(coordinates, axis=0, return_inverse=True)  # of the published, 6 % repeat others
    embeddings = encoder.encode_location(different, progress).astype(np.float16)
    return Gallery(coordinates, _write(kept, embeddings[places]), fingerprint)


def fingerprint_of(folder: ModelFolder) -> str:
    """SHA-256 over the bytes that the gallery's embeddings depend on."""
    digest = hashlib.sha256()
    for name in (LOCATION_PHASES, LOCATION_ENCODER, GALLERY):
        if name == LOCATION_PHASES and not folder.has(name):
            continue  # one graph does it all
        path = folder.file(name)
        digest.update(f"{name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)  # a block at a time: half the time of reading it whole
    return digest.hexdigest()


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The cached embeddings, or None when there are none that can be trusted."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if found.shape != shape or found.dtype != np.float16:
        return None
    # Pages lost to a crash read as zeros; a sample of rows finds a damaged file without reading all of it.
    sample = found[:: max(1, len(found) // 64)].astype(np.float32)
    return found if np.allclose(np.linalg.norm(sample, axis=1), 1.0, atol=0.01) else None


def _write(path: Path, embeddings: np.ndarray) -> np.ndarray:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, overwrite=True) as file:
            np.save(file, embeddings, allow_pickle=False)
        return np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, OutputError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        _logger.warning(
            "warning: %s cannot be written (%s), so the places are encoded again in each run; set EARTHCLIP_HOME to a "
            "folder you may write to",
            path.parent,
            reason,
        )
        return embeddings
