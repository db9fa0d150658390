"""The library's own sources: photos and cached features, opened and split as a configuration says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64

from earthclip.errors import ConfigError, InputError
from earthclip.nn.backbone import read_preprocessing
from earthclip.nn.image_encoder import MEAN, STD
from earthclip.pictures.preprocess import Preprocessing
from earthclip.training.config import FeaturesConfig, PhotosConfig, TrainingConfig
from earthclip.training.networks import backbone_folder
from earthclip.training.photos import PhotoSource
from earthclip.training.source import Batch, Order, Source, seeds_of, share_of

if TYPE_CHECKING:
    from earthclip.datasets.feature_store import FeatureStore
    from earthclip.datasets.photos import PhotoSet

_HELD_OUT_BATCH = 64

Say = Callable[[str], None]


def open_source(config: TrainingConfig, say: Say = print) -> Source:
    """The photos or features that ``config`` names.

    Raises InputError when there are fewer than a batch has, or what is named cannot be opened; ConfigError when the
    configuration names neither.
    """
    if config.photos is not None:
        return _open_photos(config.photos, config, say)
    if config.features is not None:
        return _open_features(config.features, config)
    raise ConfigError(f"{config.name}: nothing to train on; add [photos] or [features] to the configuration")


def compact_preprocessing(config: TrainingConfig) -> Preprocessing:
    """What pictures go through before the compact network."""
    return Preprocessing(config.model.image.image_size, (MEAN,) * 3, (STD,) * 3, "bicubic")


class FeatureSource(Source):
    """Features of a frozen backbone, of each photo one of its views."""

    def __init__(
        self, store: FeatureStore, train: Int64[np.ndarray, " n"], held_out: Int64[np.ndarray, " m"],
        batch_size: int, seed: int, workers: int, about: dict[str, Any],
    ) -> None:  # fmt: skip
        self._store, self._train, self._held_out, self._about = store, train, held_out, about
        self._batch_size, self._seed = batch_size, seed
        self._order = Order(len(train), batch_size, seed)
        self.size, self.width, self.workers = len(train), store.width, workers
        self.coordinates = np.asarray(store.coordinates, np.float64)[train]

    def about(self) -> dict[str, Any]:
        """Name, number, a sum of ids and places, and the fingerprint of the store."""
        return self._about

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """float32 features [b, width]."""
        own = share_of(rank, world, self._batch_size)
        rows = self._train[self._order.batch(step)[own]]
        views = seeds_of(self._seed, step, self._batch_size)[own] % np.uint64(self._store.views)
        return self._rows(rows, views.astype(np.int64))

    def held_out(self) -> Mapping[str, Iterable[Batch]]:
        """The undisturbed view of each photo."""
        parts = range(0, len(self._held_out), _HELD_OUT_BATCH)
        batches = (self._rows(self._held_out[first : first + _HELD_OUT_BATCH], None) for first in parts)
        return {"held out": batches} if len(self._held_out) else {}

    def _rows(self, rows: Int64[np.ndarray, " b"], views: Int64[np.ndarray, " b"] | None) -> Batch:
        store = self._store
        places = np.asarray(store.coordinates, np.float64)[rows]
        return Batch(store.rows(rows, views), places, [store.ids[row] for row in rows])


def _open_photos(wanted: PhotosConfig, config: TrainingConfig, say: Say) -> PhotoSource:
    from earthclip.datasets.opening import open_photos
    from earthclip.files import home

    images = Path(wanted.images).expanduser() if wanted.images else None
    photos = open_photos(wanted.source, images=images, cache=home() / "shards")
    if photos.skipped:
        say(f"{photos.name}: {photos.skipped}")
    preprocessing = compact_preprocessing(config)
    if config.backbone is not None:
        preprocessing = read_preprocessing(backbone_folder(config.backbone))
    train, held_out, about = _split(photos, wanted, config)
    train_set, held_out_set = photos.take(train), photos.take(_at_most(held_out, config.validation.views))
    return PhotoSource(train_set, held_out_set, preprocessing, config.batch_size, config.seed, wanted.workers, about)


def _open_features(wanted: FeaturesConfig, config: TrainingConfig) -> FeatureSource:
    from earthclip.datasets.feature_store import open_features
    from earthclip.datasets.photos import FileStore, StoredPhotos

    folder = Path(wanted.folder).expanduser()
    store = open_features(folder)
    places = np.asarray(store.coordinates, np.float64)
    # What splits ask for; there is nothing to open.
    named = StoredPhotos(folder.name, list(store.ids), places, np.arange(len(store.ids)), FileStore(Path(), []))
    train, held_out, about = _split(named, wanted, config)
    held_out = _at_most(held_out, config.validation.views)
    about |= {"fingerprint": store.fingerprint}
    return FeatureSource(store, train, held_out, config.batch_size, config.seed, wanted.workers, about)


def _split(
    photos: PhotoSet, wanted: PhotosConfig | FeaturesConfig, config: TrainingConfig
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " m"], dict[str, Any]]:
    """Which photos are trained on, which are held out, and what a resumed run must find unchanged."""
    from earthclip.datasets.splits import author_split, blocked_split, fraction, random_split

    n = len(photos.ids)
    train, held_out = np.arange(n), np.arange(0)
    if round(n * wanted.held_out) >= 1:
        split = {"random": random_split, "blocked": blocked_split, "author": author_split}[wanted.split]
        train, held_out = split(photos, (1 - wanted.held_out, wanted.held_out), wanted.split_seed)
    train = train[fraction(len(train), wanted.fraction, wanted.split_seed)]
    if len(train) < config.batch_size:
        raise InputError(
            f"{photos.name}: {len(train)} photos to train on, fewer than a batch of {config.batch_size}; "
            "lower batch_size"
        )
    total = hashlib.sha256()
    for index in train:
        total.update(f"{photos.ids[index]}\n".encode("utf-8", "surrogatepass"))
    total.update(np.ascontiguousarray(np.asarray(photos.coordinates, np.float64)[train]).tobytes())
    about = {"name": photos.name, "photos": len(train), "held_out": len(held_out), "sha256": total.hexdigest()}
    return train, held_out, about


def _at_most(chosen: Int64[np.ndarray, " m"], most: int) -> Int64[np.ndarray, " k"]:
    if len(chosen) <= most:
        return chosen
    return np.sort(np.random.default_rng(0).choice(chosen, most, replace=False))
