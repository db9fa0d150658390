"""Disturbed views of the Earth as a source of training samples.

A batch is a pure function of the seed and the step, so a resumed run sees exactly what an uninterrupted one saw, and
nothing about the data needs to be saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import numpy as np
from jaxtyping import Float

from earthclip.geo.sphere import from_unit_vectors
from earthclip.nn.image_encoder import MEAN, STD
from earthclip.pictures.preprocess import Preprocessing
from earthclip.training import Batch, Source
from earthclip.training.source import made_ahead
from recipes.orbit.augment import Augmentation
from recipes.orbit.camera import Cameras
from recipes.orbit.config import OrbitConfig, ViewsConfig
from recipes.orbit.imagery import imagery_path, land_mask, load_texture
from recipes.orbit.texture import Texture
from recipes.orbit.views import ViewDistribution, land_places, render, sample_cameras

CELLS = "cells"  # in Batch.extra: the places under a grid of cells, NaN where space is seen
_SEED = 20_230_915  # validation views are the same in every run, whatever its seed


class ViewSource(Source):
    """Rendered views; textures are loaded in the process that renders. Raises InputError when imagery is missing."""

    def __init__(self, config: OrbitConfig) -> None:
        for name in (*config.views.imagery, *config.validation.imagery):
            imagery_path(name)  # one error here instead of one in each process
        self._config = config
        self._sampler: ViewSampler | None = None  # made where it is used: textures are too large to send about
        self.workers = config.views.workers
        self.preprocessing = Preprocessing(config.model.image.image_size, (MEAN,) * 3, (STD,) * 3, "bicubic")

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """Each process has every ``world``-th of a longer row of batches."""
        if self._sampler is None:
            config, image = self._config, self._config.model.image
            size = config.batch_size // world
            self._sampler = ViewSampler(config.views, size, image.image_size, image.grid, config.seed)
        return self._sampler.batch(step * world + rank, step)

    def held_out(self) -> Mapping[str, Iterable[Batch]]:
        """The same undisturbed views of each imagery for validation."""
        return {name: self._undisturbed(name) for name in self._config.validation.imagery}

    def candidates(self, spacing_km: float) -> Float[np.ndarray, "m 2"]:
        """Places on land."""
        return land_places(land_mask(), spacing_km)

    def _undisturbed(self, name: str) -> Iterable[Batch]:
        config, wanted = self._config, self._config.validation
        distribution = ViewDistribution(half_width_km=wanted.half_width_km)
        cameras = sample_cameras(wanted.views, land_mask(), np.random.default_rng(_SEED), distribution)
        views = render(cameras, load_texture(name, config.views.texture_width), config.model.image.image_size)
        pixels = (views[..., :3] * 255 + 0.5).astype(np.uint8)
        for first in range(0, len(pixels), config.batch_size):
            part = slice(first, first + config.batch_size)
            ids = [f"view {i} of {name}" for i in range(len(pixels))[part]]
            yield Batch(pixels[part], cameras.targets[part], ids)


def batches(config: OrbitConfig, steps: range) -> Iterator[Batch]:
    """The batches of a run on one machine, rendered ahead in as many processes as the configuration says."""
    source = ViewSource(config)
    return made_ahead(partial(source.batch, rank=0, world=1), steps, source.workers)


class ViewSampler:
    """Makes the batch of any number from the textures it holds."""

    def __init__(self, config: ViewsConfig, batch_size: int, image_size: int, grid: int, seed: int) -> None:
        self._config, self._batch_size, self._image_size, self._grid, self._seed = (
            config, batch_size, image_size, grid, seed,
        )  # fmt: skip
        self._land = land_mask()
        shares = {name: share for name, share in config.imagery.items() if share > 0}
        self._textures: list[Texture] = [load_texture(name, config.texture_width) for name in shares]
        self._shares = np.array(list(shares.values())) / sum(shares.values())
        self._augmentation = Augmentation(config.augmentation, config.mottled, config.silhouettes, config.seasons)

    def batch(self, number: int, step: int | None = None) -> Batch:
        """uint8 pictures [b, h, w, 3], and in ``extra`` the places [b, cells, 2] under the cells of a grid."""
        rng = np.random.default_rng([self._seed, number])
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
        pixels = (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8)
        ids = [f"view {i} of step {number if step is None else step}" for i in range(len(pixels))]
        return Batch(pixels, cameras.targets, ids, extra={CELLS: cells.reshape(len(cameras), -1, 2)})

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
