"""Photos through a frozen backbone, once for each photo and view: what epochs of training read ever after."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float16, Float32

from earthclip.configuration import to_mapping
from earthclip.datasets.feature_store import SHARD_ROWS, About, FeatureWriter
from earthclip.datasets.photos import PhotoSet
from earthclip.errors import InputError
from earthclip.nn.backbone import HubBackbone, read_preprocessing
from earthclip.pictures.decode import decode_reduced
from earthclip.pictures.prepare import prepare
from earthclip.pictures.preprocess import Preprocessing
from earthclip.training.optimization import precision_of
from earthclip.training.simclr import simclr_view
from earthclip.training.source import dead_workers_named, made_ahead, to_tensor

_BATCH = 16  # photos decoded and encoded together
_DRAFT = 4  # times the picture's size, of which a SimCLR view crops at least 0.28 of the sides
_FORMAT = 1  # of the views' recipe; changed whenever the same seed would give other pixels


@dataclass(frozen=True, eq=False)
class _Pixels:
    pixels: Float32[np.ndarray, "b views 3 h w"]
    rows: list[int]
    failed: dict[int, str]


class Extractor:
    """A backbone, photos and the store that their features go into, made or gone on with.

    ``backbone`` is a Hugging Face folder. View 0 is what prediction sees, the others are SimCLR views drawn from the
    seed. Raises InputError when the folder holds other features, or features and not ``resume``.
    """

    def __init__(
        self,
        photos: PhotoSet,
        backbone: Path,
        folder: Path,
        *,
        views: int = 1,
        seed: int = 0,
        resume: bool = False,
        shard_rows: int = SHARD_ROWS,
    ) -> None:
        if views < 1:
            raise InputError(f"views is {views}; expected 1 or more")
        self._photos, self._views, self._seed = photos, views, seed
        self._network = HubBackbone.from_folder(backbone)
        self._preprocessing = read_preprocessing(backbone)
        about = About(
            backbone=backbone.name,
            fingerprint=fingerprint_of(self._network, self._preprocessing, views, seed),
            width=self._network.width,
            views=views,
            photos=len(photos),
            shard_rows=shard_rows,
        )
        self._writer = FeatureWriter(folder, about, photos.ids, photos.coordinates, resume=resume)

    @property
    def missing(self) -> list[int]:
        """The shards that are still to be made."""
        return self._writer.missing

    def photos_of(self, shard: int) -> range:
        """The photos of a shard, by their number."""
        return self._writer.rows_of(shard)

    def write(
        self, shards: list[int], workers: int = 1, told: Callable[[int], None] = lambda photos: None
    ) -> Generator[tuple[int, dict[int, str]], None, None]:
        """Make shards; gives each when it is written, with why some of its photos could not be read.

        ``workers`` processes decode; ``told`` is called with the number of photos done, every few photos.
        """
        if workers < 1:
            raise InputError(f"workers is {workers}; expected 1 or more")
        tasks = [
            range(first, min(first + _BATCH, rows.stop))
            for rows in map(self.photos_of, shards)
            for first in range(rows.start, rows.stop, _BATCH)
        ]
        decoding = _Decoding(self._photos, self._preprocessing, self._views, self._seed)
        batches = made_ahead(decoding, tasks, workers)
        with dead_workers_named("lower --workers"), contextlib.closing(batches):
            for shard in shards:
                rows = self.photos_of(shard)
                features = np.zeros((len(rows), self._views, self._network.width), np.float16)
                failed: dict[int, str] = {}
                for _ in range(-(-len(rows) // _BATCH)):
                    batch = next(batches)
                    failed |= batch.failed
                    if batch.rows:
                        features[np.array(batch.rows) - rows.start] = encode(self._network, batch.pixels)
                    told(len(batch.rows) + len(batch.failed))
                self._writer.write(shard, features, failed)
                yield shard, failed


def extract(
    photos: PhotoSet,
    backbone: Path,
    folder: Path,
    *,
    views: int = 1,
    seed: int = 0,
    workers: int = 1,
    resume: bool = False,
    shard_rows: int = SHARD_ROWS,
    progress: Callable[[int, int], None] = lambda done, n: None,
) -> dict[int, str]:
    """Write the features of ``photos`` into ``folder``; returns why some could not be read, by their number.

    As ``Extractor``, whole; ``progress`` hears of the photos that are done and of how many there are.
    """
    extractor = Extractor(photos, backbone, folder, views=views, seed=seed, resume=resume, shard_rows=shard_rows)
    missing = extractor.missing
    done = len(photos) - sum(len(extractor.photos_of(shard)) for shard in missing)

    def told(count: int) -> None:
        nonlocal done
        done += count
        progress(done, len(photos))

    failures: dict[int, str] = {}
    for _, failed in extractor.write(missing, workers, told):
        failures |= failed
    return failures


def encode(network: HubBackbone, pixels: Float32[np.ndarray, "b views 3 h w"]) -> Float16[np.ndarray, "b views width"]:
    """Features of every view; matrix products in bfloat16 where the processor has them."""
    precision = precision_of("auto", torch.device("cpu"))
    flat = torch.from_numpy(pixels.reshape(-1, *pixels.shape[2:]))
    with torch.no_grad(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
        features = network.image_features(flat).float()
    found: np.ndarray = features.numpy().astype(np.float16).reshape(*pixels.shape[:2], -1)
    return found


def fingerprint_of(network: HubBackbone, preprocessing: Preprocessing, views: int, seed: int) -> str:
    """SHA-256, in 16 characters, over what decides features: the weights, the preprocessing, the views."""
    recipe = {"preprocessing": to_mapping(preprocessing), "views": views, "seed": seed, "format": _FORMAT}
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class _Decoding:
    """Rows to their pixels, in a process of its own."""

    photos: PhotoSet
    preprocessing: Preprocessing
    views: int
    seed: int

    def __call__(self, rows: range) -> _Pixels:
        pixels, decoded, failed = [], [], {}
        for row in rows:
            try:
                pixels.append(np.stack(list(self._views_of(row))))
                decoded.append(row)
            except InputError as error:
                failed[row] = str(error)
        size = self.preprocessing.size
        whole = np.stack(pixels) if pixels else np.empty((0, self.views, 3, size, size), np.float32)
        return _Pixels(whole, decoded, failed)

    def _views_of(self, row: int) -> Generator[Float32[np.ndarray, "3 h w"], None, None]:
        """The undisturbed pixels of prediction, then the disturbed ones."""
        where = self.photos.ids[row]
        yield prepare(self.photos.open(row), self.preprocessing, where=where).pixels[0]
        if self.views == 1:
            return
        size = self.preprocessing.size
        image = decode_reduced(self.photos.open(row), _DRAFT * size, where=where).image
        for view in range(1, self.views):
            rng = np.random.default_rng([self.seed, row, view])
            picture = np.asarray(simclr_view(image, size, rng))
            yield to_tensor(picture[None], self.preprocessing)[0].numpy()
