"""The candidate places of a model with their embeddings, encoded once and kept in the cache folder.

The published package encodes its 100,000 places anew for every photo; here it happens once for each pair of location
encoder and gallery, recognised by a fingerprint of their bytes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float16, Float32, Float64

from earthclip.errors import InputError, OutputError
from earthclip.files import atomic_write
from earthclip.geo.place_cells import PlaceCells
from earthclip.models.cache import home
from earthclip.models.config import GALLERY, LOCATION_ENCODER, LOCATION_PHASES
from earthclip.models.folder import ModelFolder
from earthclip.runtime.encoders import LocationEncoder, Progress
from earthclip.search import Found, products, search

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
        for first, part in products(scaled, self.embeddings, 0, len(self)):
            logits[:, first : first + part.shape[1]] = part
        return logits

    def search(
        self, image_embeddings: Float32[np.ndarray, "b d"], k: int, logit_scale: float, temperature: float = 1.0
    ) -> Found:
        """The ``k`` best places of each picture under softmax(logits / ``temperature``), without the logits [b, m].

        Raises InputError as ``logits`` does.
        """
        return search(self._scaled(image_embeddings, logit_scale) / np.float32(temperature), self.embeddings, k)

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
    low = path.with_name(f"{path.stem}-bfloat16.npy")
    shape = (len(coordinates), folder.config.embedding_size)
    for kept in (path,) if exact else (path, low):
        cached = _read(kept, shape)
        if cached is not None:
            return Gallery(coordinates, cached, fingerprint)
    encoder = location_encoder()
    kept = path if encoder.exact else low
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
            "warning: %s cannot be written (%s), so the places are encoded anew each run; set EARTHCLIP_HOME to a "
            "folder you may write to",
            path.parent,
            reason,
        )
        return embeddings
