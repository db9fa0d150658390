"""Batches of photos in SimCLR views, decoded in worker processes that never load torch.

A batch is a pure function of the seed, the step and the files. A photo that cannot be decoded gives its place to
another, drawn from the same seed, and is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8, UInt64
from PIL import Image

from earthclip.datasets.photos import PhotoSet
from earthclip.errors import InputError
from earthclip.pictures.decode import decode_reduced
from earthclip.pictures.prepare import prepare
from earthclip.pictures.preprocess import Preprocessing
from earthclip.training.order import Order, TrainingBatch, seeds_of
from earthclip.training.rendering.sampler import end_with_parent
from earthclip.training.samples import made_ahead
from earthclip.training.simclr import simclr_view

_MOST_FAULTS = 8  # photos of a batch, beyond which something is wrong with all
_TOLD = 3  # undecodable photos named before they are only counted

Say = Callable[[str], None]
Task = tuple[Int64[np.ndarray, " n"], UInt64[np.ndarray, " n"]]


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pictures of the photos ``chosen``, and why others were not."""

    pictures: UInt8[np.ndarray, "b h w 3"]
    chosen: Int64[np.ndarray, " b"]
    faults: list[str]


def photo_batches(
    photos: PhotoSet,
    size: int,
    batch_size: int,
    seed: int,
    steps: range,
    *,
    workers: int,
    rank: int = 0,
    world: int = 1,
    say: Say = print,
) -> Generator[TrainingBatch, None, None]:
    """The share of process ``rank`` in the batches of ``steps``: pictures ``size`` pixels square.

    Raises InputError when more than 8 photos of a share cannot be decoded.
    """
    order = Order(len(photos), batch_size, seed)
    share = batch_size // world
    own = slice(rank * share, (rank + 1) * share)

    def tasks() -> Generator[Task, None, None]:
        for step in steps:
            yield order.batch(step)[own], seeds_of(seed, step, batch_size)[own]

    told = 0
    fault = ("decodes photos", "lower photos.workers or batch_size")
    for decoded in made_ahead(decode_batch, tasks(), workers, start_worker, (photos, size), fault):
        for text in decoded.faults[: max(0, _TOLD - told)]:
            say(f"warning: {text}; another photo took its place")
        told += len(decoded.faults)
        if told > _TOLD >= told - len(decoded.faults):
            say("warning: more photos cannot be decoded; earthclip data check counts them")
        yield TrainingBatch(
            decoded.pictures, photos.coordinates[decoded.chosen], [photos.ids[i] for i in decoded.chosen]
        )


def undisturbed(
    photos: PhotoSet, preprocessing: Preprocessing, batch_size: int
) -> Generator[tuple[Float32[np.ndarray, "b 3 h w"], Float[np.ndarray, "b 2"]], None, None]:
    """Pixels as the finished model will see them, and their places; undecodable photos are left out."""
    pixels, places = [], []
    for index in range(len(photos)):
        try:
            one = prepare(photos.open(index), preprocessing, where=photos.ids[index])
        except InputError:
            continue
        pixels.append(one.pixels[0])
        places.append(photos.coordinates[index])
        if len(pixels) == batch_size:
            yield np.stack(pixels), np.stack(places)
            pixels, places = [], []
    if pixels:
        yield np.stack(pixels), np.stack(places)


_photos: tuple[PhotoSet, int] | None = None  # one a worker process: too large to send with each step


def start_worker(photos: PhotoSet, size: int) -> None:
    """Keep what batches need, in a process of its own that ends with the one that started it."""
    # The pool's pipes stay open in the worker itself, so it would never notice that the trainer was killed.
    threading.Thread(target=end_with_parent, daemon=True).start()
    global _photos
    _photos = photos, size


def decode_batch(task: Task) -> Decoded:
    """A view of each photo of the task, drawn from its seed; the same seed draws another photo for one that fails."""
    if _photos is None:
        raise RuntimeError("start_worker has not run in this process")
    photos, size = _photos
    pictures, chosen, faults = [], [], []
    for first, seed in zip(*(numbers.tolist() for numbers in task), strict=True):
        rng, index, picture = np.random.default_rng(seed), first, None
        while picture is None:
            try:
                picture = np.asarray(simclr_view(_open(photos, index, size), size, rng))
            except InputError as error:
                faults.append(str(error))
                if len(faults) > _MOST_FAULTS:
                    raise InputError(
                        f"{len(faults)} of {len(task[0])} photos of a batch cannot be decoded, the last: {error}; "
                        "earthclip data check names them"
                    ) from error
                index = int(rng.integers(len(photos)))
        pictures.append(picture)
        chosen.append(index)
    return Decoded(np.stack(pictures), np.array(chosen, np.int64), faults)


def _open(photos: PhotoSet, index: int, size: int) -> Image.Image:
    source = photos.open(index)
    # A view is a crop of at least 8 % of the picture, so of at least 0.28 of its sides: four times the size is enough.
    if isinstance(source, str):
        reduced = decode_reduced(source, 4 * size)
    else:
        with source:
            reduced = decode_reduced(source, 4 * size, where=photos.ids[index])
    left, top, right, bottom = (round(edge) for edge in reduced.box)
    return reduced.image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
