"""Batches of disturbed views for training, made in worker processes that never load torch.

A batch is a pure function of the seed and the step, so a resumed run sees exactly what an uninterrupted one saw,
and nothing about the data needs to be saved.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8

from earthclip.geo.sphere import from_unit_vectors
from earthclip.training.rendering.augment import Augmentation
from earthclip.training.rendering.camera import Cameras
from earthclip.training.rendering.imagery import land_mask, load_texture
from earthclip.training.rendering.texture import Texture
from earthclip.training.rendering.views import ViewDistribution, render, sample_cameras


@dataclass(frozen=True)
class ViewsConfig:
    """Rendered views of the Earth from above, each made anew."""

    distribution: ViewDistribution = field(default_factory=ViewDistribution)
    imagery: dict[str, float] = field(default_factory=lambda: {"bmng": 0.5, "shadedrelief": 0.3, "etopo1": 0.2})
    texture_width: int = 5400  # pixels around the equator; smaller takes less memory
    blend: float = 0.25  # share of views that mix two of the pictures
    clean: float = 0.15  # share of views left undisturbed
    augmentation: float = 1.0  # strength of the disturbances; 0 turns them off
    mottled: float = 0.0  # share of the disturbed views whose land is painted over in patches
    silhouettes: float = 0.0  # share of the disturbed views that are two flat colours, land and sea
    workers: int = 1  # processes that render ahead of the training


@dataclass(frozen=True)
class Batch:
    """Pictures, the places at their centres, and the places under a grid of cells (NaN where space is seen)."""

    pixels: UInt8[np.ndarray, "b h w 3"]
    coordinates: Float[np.ndarray, "b 2"]
    cell_coordinates: Float[np.ndarray, "b cells 2"]


class ViewSampler:
    """Makes the batch of any step from the textures it holds."""

    def __init__(self, config: ViewsConfig, batch_size: int, image_size: int, grid: int, seed: int) -> None:
        self._config, self._batch_size, self._image_size, self._grid, self._seed = (
            config, batch_size, image_size, grid, seed,
        )  # fmt: skip
        self._land = land_mask()
        shares = {name: share for name, share in config.imagery.items() if share > 0}
        self._textures: list[Texture] = [load_texture(name, config.texture_width) for name in shares]
        self._shares = np.array(list(shares.values())) / sum(shares.values())
        self._augmentation = Augmentation(config.augmentation, config.mottled, config.silhouettes)

    def batch(self, step: int) -> Batch:
        """The batch of ``step``, counted from 0."""
        rng = np.random.default_rng([self._seed, step])
        cameras = sample_cameras(self._batch_size, self._land, rng, self._config.distribution)
        views = self._render(cameras, rng)
        if self._config.augmentation > 0:
            disturbed = rng.random(len(views)) >= self._config.clean
            pictures = [
                self._augmentation(view, rng) if chosen else view[..., :3]
                for view, chosen in zip(views, disturbed, strict=True)
            ]
            rgb = np.stack(pictures)
        else:
            rgb = views[..., :3]
        ground, seen = cameras.ground(self._grid)
        cells = np.where(seen[..., None], from_unit_vectors(ground.astype(np.float64)), np.nan)
        return Batch(
            pixels=(np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8),
            coordinates=cameras.targets,
            cell_coordinates=cells.reshape(len(cameras), -1, 2),
        )

    def _render(self, cameras: Cameras, rng: np.random.Generator) -> np.ndarray:
        n = len(cameras)
        views = self._render_each(cameras, rng.choice(len(self._shares), n, p=self._shares))
        blended = np.flatnonzero(rng.random(n) < self._config.blend)
        others = self._render_each(cameras.take(blended), rng.choice(len(self._shares), len(blended), p=self._shares))
        weight = rng.random((len(blended), 1, 1, 1), np.float32)
        views[blended] += (others - views[blended]) * weight
        return views

    def _render_each(self, cameras: Cameras, chosen: np.ndarray) -> np.ndarray:
        views = np.empty((len(cameras), self._image_size, self._image_size, 4), np.float32)
        for index, texture in enumerate(self._textures):
            mine = np.flatnonzero(chosen == index)
            views[mine] = render(cameras.take(mine), texture, self._image_size)
        return views


_sampler: ViewSampler | None = None  # one a worker process: textures are too large to send with each step


def start_worker(config: ViewsConfig, batch_size: int, image_size: int, grid: int, seed: int) -> None:
    """Load what batches need, in a process of its own that ends with the one that started it."""
    # The pool's pipes stay open in the worker itself, so it would never notice that the trainer was killed.
    threading.Thread(target=end_with_parent, daemon=True).start()
    global _sampler
    _sampler = ViewSampler(config, batch_size, image_size, grid, seed)


def batch_of(step: int) -> Batch:
    """The batch of ``step`` from this worker's sampler."""
    if _sampler is None:
        raise RuntimeError("start_worker has not run in this process")
    return _sampler.batch(step)


def end_with_parent() -> None:
    """Wait for the process that started this one to end, and end too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
