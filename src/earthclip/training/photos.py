"""Photos with known places, each in a SimCLR view: a source whose batches are decoded in processes of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from earthclip.datasets.photos import PhotoSet
from earthclip.errors import InputError
from earthclip.pictures.decode import decode_reduced
from earthclip.pictures.prepare import prepare
from earthclip.pictures.preprocess import Preprocessing
from earthclip.training.simclr import simclr_view
from earthclip.training.source import Batch, Order, Source, seeds_of, share_of

_MOST_FAULTS = 8  # photos of a batch, beyond which something is wrong with all
_HELD_OUT_BATCH = 64
_DRAFT = 4  # times the view's size: a view is a crop of at least 8 % of the picture, so of at least 0.28 of its sides


class PhotoSource(Source):
    """Batches of the photos ``train``; accuracy is measured on ``held_out``.

    A batch is a function of the seed, the step and the files. A photo that cannot be decoded gives its place to
    another, drawn from the same seed. Raises InputError when more than 8 photos of a share cannot be decoded.
    """

    def __init__(
        self, train: PhotoSet, held_out: PhotoSet, preprocessing: Preprocessing, batch_size: int, seed: int,
        workers: int, about: dict[str, Any],
    ) -> None:  # fmt: skip
        self._train, self._held_out, self._about = train, held_out, about
        self._batch_size, self._seed = batch_size, seed
        self._order = Order(len(train), batch_size, seed)
        self.preprocessing: Preprocessing = preprocessing
        self.size, self.workers, self.coordinates = len(train), workers, train.coordinates

    def about(self) -> dict[str, Any]:
        """Name, number and a sum of ids and places."""
        return self._about

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """uint8 pictures, as large as the network takes them."""
        own, size = share_of(rank, world, self._batch_size), self.preprocessing.size
        photos, seeds = self._order.batch(step)[own], seeds_of(self._seed, step, self._batch_size)[own]
        pictures, chosen, faults = [], [], []
        for first, seed in zip(photos.tolist(), seeds.tolist(), strict=True):
            rng, index, picture = np.random.default_rng(seed), first, None
            while picture is None:
                try:
                    picture = np.asarray(simclr_view(_draft(self._train, index, size), size, rng))
                except InputError as error:
                    faults.append(f"{error}; another photo took its place")
                    if len(faults) > _MOST_FAULTS:
                        raise InputError(
                            f"{len(faults)} of {len(photos)} photos of a batch cannot be decoded, the last: {error}; "
                            "earthclip data check names them"
                        ) from error
                    index = int(rng.integers(len(self._train)))
            pictures.append(picture)
            chosen.append(index)
        ids = [self._train.ids[index] for index in chosen]
        return Batch(np.stack(pictures), self._train.coordinates[chosen], ids, faults=faults)

    def held_out(self) -> Mapping[str, Iterable[Batch]]:
        """Pixels as the finished model sees them; photos that cannot be decoded are left out."""
        return {"held out": self._undisturbed()} if len(self._held_out) else {}

    def _undisturbed(self) -> Iterable[Batch]:
        photos = self._held_out
        pixels, rows = [], []
        for index in range(len(photos)):
            try:
                pixels.append(prepare(photos.open(index), self.preprocessing, where=photos.ids[index]).pixels[0])
                rows.append(index)
            except InputError:
                continue
            if len(rows) == _HELD_OUT_BATCH:
                yield Batch(np.stack(pixels), photos.coordinates[rows], [photos.ids[row] for row in rows])
                pixels, rows = [], []
        if rows:
            yield Batch(np.stack(pixels), photos.coordinates[rows], [photos.ids[row] for row in rows])


def _draft(photos: PhotoSet, index: int, size: int) -> Image.Image:
    """The picture upright, at least four times as large as a view where the file is."""
    source = photos.open(index)
    if isinstance(source, str):
        reduced = decode_reduced(source, _DRAFT * size)
    else:
        with source:
            reduced = decode_reduced(source, _DRAFT * size, where=photos.ids[index])
    left, top, right, bottom = (round(edge) for edge in reduced.box)
    return reduced.image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
