"""What a run is trained on: batches of pictures or features with their places, as a function of seed and step.

A run on photos or features opens its source by itself. A source of your own is a class with ``batch``::

    class Synthetic(Source):
        width = 16

        def batch(self, step: int, rank: int, world: int) -> Batch:
            rng = np.random.default_rng([7, step, rank])
            places = np.stack([rng.uniform(-60, 70, 8), rng.uniform(-180, 180, 8)], axis=1)
            features = np.sin(np.radians(places) @ np.ones((2, 16)) * np.arange(16)).astype(np.float32)
            return Batch(features, places, [f"{step}-{i}" for i in range(8)])

    train(config, Synthetic())
"""

from __future__ import annotations

import contextlib
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped, UInt64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from earthclip.errors import EarthCLIPError
from earthclip.geo.sphere import thinned
from earthclip.pictures.preprocess import Preprocessing

_AHEAD = 4  # batches in preparation, beyond one for each process

Key = TypeVar("Key")
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples of one step.

    ``given`` is what the image encoder takes: uint8 pictures [b, h, w, 3], preprocessed float32 pixels [b, 3, h, w], or
    features [b, width]. ``coordinates`` are latitude and longitude in degrees, ``ids`` name the samples in messages.
    """

    given: Shaped[np.ndarray, "b ..."]
    coordinates: Float[np.ndarray, "b 2"]
    ids: list[str]
    extra: dict[str, np.ndarray] = field(default_factory=dict)  # what an objective of your own needs beside them
    faults: list[str] = field(default_factory=list)  # why samples were replaced by others


class Source(Protocol):
    """Batches of samples with known places. Subclass it for the defaults; ``batch`` is all that must be written."""

    size: int | None = None  # samples in an epoch; None: there is no end, and the configuration counts steps
    width: int | None = None  # numbers in a feature; None: batches hold pictures
    preprocessing: Preprocessing | None = None  # of pictures, in training and in the finished model
    workers: int = 0  # processes that make batches ahead of the training; 0: batches are made between steps
    coordinates: np.ndarray | None = None  # [n, 2] degrees: where all samples were taken, if there is such a list

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """The share of process ``rank`` of ``world`` in the batch of ``step``, counted from 0.

        Follows from the arguments and a seed alone, so that a resumed run sees what an uninterrupted one saw. The
        source is sent to other processes where ``workers`` is above 0. Raises EarthCLIPError for what cannot be read.
        """
        ...

    def about(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed, ready for JSON."""
        return {}

    def held_out(self) -> Mapping[str, Iterable[Batch]]:
        """Sets of samples that are never trained on, by name; each is validated on its own."""
        return {}

    def candidates(self, spacing_km: float) -> Float[np.ndarray, "m 2"]:
        """The places, in degrees, among which held-out samples are located."""
        return np.empty((0, 2)) if self.coordinates is None else thinned(self.coordinates, spacing_km)


class Order:
    """The samples 0 to n - 1 in the order of training: every epoch is a permutation drawn from the seed.

    No batch is cut short at the end of an epoch. It goes on into the next one, so that every sample is seen once an
    epoch.
    """

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        self._n, self._batch_size, self._seed = n, batch_size, seed
        self._epochs: dict[int, Int64[np.ndarray, " n"]] = {}

    def batch(self, step: int) -> Int64[np.ndarray, " b"]:
        """The samples of ``step``, counted from 0."""
        first = step * self._batch_size
        positions = np.arange(first, first + self._batch_size)
        epochs = positions // self._n
        chosen = np.empty(len(positions), np.int64)
        for epoch in np.unique(epochs):
            mine = epochs == epoch
            chosen[mine] = self._permutation(int(epoch))[positions[mine] % self._n]
        return chosen

    def _permutation(self, epoch: int) -> Int64[np.ndarray, " n"]:
        if epoch not in self._epochs:
            for past in [known for known in self._epochs if known < epoch - 1]:
                del self._epochs[past]
            self._epochs[epoch] = np.random.default_rng([self._seed, 1, epoch]).permutation(self._n)
        return self._epochs[epoch]


def seeds_of(seed: int, step: int, n: int) -> UInt64[np.ndarray, " n"]:
    """A seed for each of the n samples of a step, whichever process makes it."""
    return np.random.default_rng([seed, 2, step]).integers(0, 2**63, n, dtype=np.uint64)


def share_of(rank: int, world: int, batch_size: int) -> slice:
    """The part of a batch that process ``rank`` of ``world`` makes and trains on."""
    size = batch_size // world
    return slice(rank * size, (rank + 1) * size)


def to_tensor(given: Shaped[np.ndarray, "b ..."], preprocessing: Preprocessing | None) -> Tensor:
    """What the image encoder takes: uint8 pictures [b, h, w, 3] as normalised pixels [b, 3, h, w], others unchanged.

    Pixels equal those of the exported model's preprocessing, in the memory layout that convolutions on CPUs prefer.
    """
    if given.dtype != np.uint8 or preprocessing is None:
        return torch.from_numpy(given)
    scaled = torch.from_numpy(given).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    return ((scaled - mean) / std).contiguous(memory_format=torch.channels_last)


class _Making(Dataset[Any]):
    """A function in the form that DataLoader takes. Errors are handed over as values: torch would rewrite them."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._make(key)
        except EarthCLIPError as error:
            return error


def made_ahead(make: Callable[[Key], Made], keys: Sequence[Key], workers: int) -> Generator[Made, None, None]:
    """What ``make`` makes of each key, in order, in ``workers`` processes that run ahead; 0 makes them here.

    Raises the EarthCLIPErrors of ``make``.
    """
    ahead = 1 + -(-_AHEAD // workers) if workers else None
    with warnings.catch_warnings(), _interrupts_ignored():
        warnings.simplefilter("ignore")  # of more processes than processors
        made_by_torch = iter(
            DataLoader(
                _Making(make),
                batch_size=None,
                sampler=keys,
                num_workers=workers,
                prefetch_factor=ahead,
                multiprocessing_context="spawn" if workers else None,  # a fork would copy torch's threads' locks
                generator=torch.Generator(),  # not the global one, which would be moved on
            )
        )
    for made in made_by_torch:
        if isinstance(made, EarthCLIPError):
            raise made
        yield made


@contextlib.contextmanager
def dead_workers_named(advice: str) -> Iterator[None]:
    """Turn torch's report of a worker that was killed, which may come at any moment, into one line."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise EarthCLIPError(
            f"a process that makes batches was killed, perhaps for lack of memory; {advice}, or --resume"
        ) from error


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started here inherit that Ctrl-C is not for them: the trainer gets it, and ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
