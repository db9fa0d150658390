"""What a run is trained on: photos or cached features, which part of them, and what is kept back for validation."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32, Int64

from earthclip.errors import InputError
from earthclip.files import atomic_write
from earthclip.pictures.preprocess import Preprocessing
from earthclip.training.config import FeaturesConfig, PhotosConfig, TrainingConfig
from earthclip.training.order import TrainingBatch

if TYPE_CHECKING:
    from earthclip.datasets.feature_store import FeatureStore
    from earthclip.datasets.photos import PhotoSet

DATA = "data.json"
PLACES = "coordinates.npy"  # where the training photos were taken: what a model's candidates are made of

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Photos or features with known places; ``train`` and ``held_out`` are indices among them."""

    photos: PhotoSet | FeatureStore
    train: Int64[np.ndarray, " n"]
    held_out: Int64[np.ndarray, " m"]
    width: int | None  # of features; None: photos
    about: dict[str, Any]  # what must be the same for a run to go on

    @property
    def coordinates(self) -> Float[np.ndarray, "n 2"]:
        """Where the training photos were taken, degrees."""
        places: np.ndarray = np.asarray(self.photos.coordinates, np.float64)[self.train]
        return places

    def batches(
        self, config: TrainingConfig, size: int, steps: range, rank: int, world: int, say: Say
    ) -> Generator[TrainingBatch, None, None]:
        """The share of process ``rank`` in the batches of ``steps``; pictures are ``size`` pixels square."""
        given: Any = self.photos
        if self.width is not None:
            from earthclip.training.cached import feature_batches

            return feature_batches(given, self.train, config.batch_size, config.seed, steps, rank=rank, world=world)
        from earthclip.training.photos import photo_batches

        assert config.photos is not None
        return photo_batches(
            given.take(self.train), size, config.batch_size, config.seed, steps,
            workers=config.photos.workers, rank=rank, world=world, say=say,
        )  # fmt: skip

    def kept_back(
        self, most: int, preprocessing: Preprocessing | None, batch_size: int
    ) -> Iterator[tuple[Float32[np.ndarray, "b ..."], Float[np.ndarray, "b 2"]]]:
        """Undisturbed pixels or first views of at most so many photos kept back, and their places."""
        chosen = self.held_out
        if len(chosen) > most:
            chosen = np.sort(np.random.default_rng(0).choice(chosen, most, replace=False))
        given: Any = self.photos
        if self.width is not None:
            for first in range(0, len(chosen), batch_size):
                part = chosen[first : first + batch_size]
                yield given.rows(part, None), np.asarray(given.coordinates, np.float64)[part]
            return
        from earthclip.training.photos import undisturbed

        assert preprocessing is not None
        yield from undisturbed(given.take(chosen), preprocessing, batch_size)


def open_data(config: TrainingConfig, say: Say = print) -> TrainingData | None:
    """What ``config`` names, opened and split; None for rendered views.

    Raises InputError when there are fewer photos than a batch has, or what is named cannot be opened.
    """
    if config.photos is not None:
        from earthclip.datasets.opening import open_photos
        from earthclip.files import home

        images = config.photos.images
        folder = Path(images).expanduser() if images else None
        photos = open_photos(config.photos.source, images=folder, cache=home() / "shards")
        if photos.skipped:
            say(f"{photos.name}: {photos.skipped}")
        return _split(photos, photos.name, None, config.photos, config, {})
    if config.features is not None:
        from earthclip.datasets.feature_store import open_features

        store = open_features(Path(config.features.folder).expanduser())
        name = Path(config.features.folder).name
        return _split(store, name, store.width, config.features, config, {"fingerprint": store.fingerprint})
    return None


def keep_data(folder: Path, data: TrainingData, *, resume: bool) -> None:
    """Write down what the run in ``folder`` is trained on; with ``resume``, compare.

    Raises InputError when the photos are not those the run began with.
    """
    path = folder / DATA
    if resume:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error}); start a new run in another folder") from error
        if changed := [key for key, value in data.about.items() if kept.get(key) != value]:
            was = ", ".join(f"{key} was {kept.get(key)}, is {data.about[key]}" for key in changed)
            raise InputError(f"{folder}: its photos have changed since ({was}); restore them, or start a new run")
        return
    places = io.BytesIO()
    np.save(places, data.coordinates)
    for name, content in ((PLACES, places.getvalue()), (DATA, json.dumps(data.about, indent=2).encode() + b"\n")):
        with atomic_write(folder / name, overwrite=True) as file:
            file.write(content)


def read_data(folder: Path) -> tuple[Float[np.ndarray, "n 2"], dict[str, Any]]:
    """Where the photos of the run in ``folder`` were taken, degrees, and what else it was trained on."""
    try:
        return np.load(folder / PLACES), json.loads((folder / DATA).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: {PLACES} and {DATA} of the run cannot be read ({error}); train it again"
        ) from error


def _split(
    photos: Any, name: str, width: int | None, wanted: PhotosConfig | FeaturesConfig, config: TrainingConfig,
    about: dict[str, Any],
) -> TrainingData:  # fmt: skip
    from earthclip.datasets.splits import author_split, blocked_split, fraction, random_split

    n = len(photos.ids)
    train, held_out = np.arange(n), np.arange(0)
    if round(n * wanted.held_out) >= 1:
        split = {"random": random_split, "blocked": blocked_split, "author": author_split}[wanted.split]
        named = photos if width is None else _named(photos, name)
        train, held_out = split(named, (1 - wanted.held_out, wanted.held_out), wanted.split_seed)
    train = train[fraction(len(train), wanted.fraction, wanted.split_seed)]
    if len(train) < config.batch_size:
        raise InputError(
            f"{name}: {len(train)} photos to train on, fewer than a batch of {config.batch_size}; lower batch_size"
        )
    ids = hashlib.sha256()
    for index in train:
        ids.update(f"{photos.ids[index]}\n".encode("utf-8", "surrogatepass"))
    places = np.ascontiguousarray(np.asarray(photos.coordinates, np.float64)[train])
    ids.update(places.tobytes())
    about = {"name": name, "photos": len(train), "held_out": len(held_out), "sha256": ids.hexdigest(), **about}
    return TrainingData(photos, train, held_out, width, about)


def _named(store: FeatureStore, name: str) -> PhotoSet:
    """The ids and places of cached features, as splits ask for them; there is nothing to open."""
    from earthclip.datasets.photos import FileStore, StoredPhotos

    n = len(store.ids)
    places = np.asarray(store.coordinates, np.float64)
    return StoredPhotos(name, list(store.ids), places, np.arange(n), FileStore(Path(), []))
