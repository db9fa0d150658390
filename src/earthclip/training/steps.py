"""The step of a run, for all it can be trained on, in one process or in a share of many."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from earthclip.errors import ConfigError
from earthclip.pictures.preprocess import Preprocessing
from earthclip.training.checkpoint import Say, TrainingState
from earthclip.training.config import TrainingConfig
from earthclip.training.contrast import Contrast, noisy_places
from earthclip.training.data import TrainingData
from earthclip.training.devices import Ranks
from earthclip.training.networks import own_weights
from earthclip.training.objective import batch_loss
from earthclip.training.order import TrainingBatch
from earthclip.training.pixels import to_tensor
from earthclip.training.rendering.sampler import Batch
from earthclip.training.samples import batches


class Steps:
    """Batches, their losses and what follows of them. Raises ConfigError for what many devices cannot do."""

    batches: Generator[Batch, None, None] | Generator[TrainingBatch, None, None]

    def __init__(
        self,
        config: TrainingConfig,
        state: TrainingState,
        data: TrainingData | None,
        preprocessing: Preprocessing | None,
        precision: torch.dtype,
        ranks: Ranks,
        say: Say,
    ) -> None:
        self._config, self._state, self._ranks, self._precision = config, state, ranks, precision
        self._preprocessing = preprocessing
        self._alone = data is None and ranks.world == 1 and ranks.device.type == "cpu"
        if config.loss.cells and not self._alone:
            raise ConfigError(
                "loss.cells is for one process on a CPU; set it to 0, or device to 'cpu' without torchrun"
            )
        self._contrast: Any = Contrast(state.model, config)
        if ranks.world > 1:
            self._contrast = torch.nn.parallel.DistributedDataParallel(
                self._contrast,
                device_ids=[ranks.device.index] if ranks.device.type == "cuda" else None,
                find_unused_parameters=data is None,  # the compact network's head of cells
            )
        image = config.model.image
        if data is None:
            self.batches = batches(
                config.views, config.batch_size // ranks.world, image.image_size, image.grid, config.seed, state.step,
                config.steps, rank=ranks.rank, world=ranks.world,
            )  # fmt: skip
        else:
            size = 0 if preprocessing is None else preprocessing.size
            self.batches = data.batches(config, size, range(state.step, config.steps), ranks.rank, ranks.world, say)

    def loss(self, batch: Batch | TrainingBatch) -> Tensor:
        """The mean loss of this process's share, with the candidates of all."""
        config, state, ranks = self._config, self._state, self._ranks
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + state.step)
        with torch.autocast(ranks.device.type, self._precision, enabled=self._precision != torch.float32):
            if self._alone and isinstance(batch, Batch):
                self._coordinates = torch.from_numpy(batch.coordinates)
                return batch_loss(state.model, state.queue, batch, config, state.step, generator)
            self._coordinates = ranks.gather(batch.coordinates)
            first = ranks.share(config.batch_size).start
            places = noisy_places(self._coordinates, state.queue, config, first, generator)
            truths = torch.from_numpy(np.ascontiguousarray(batch.coordinates, np.float64))
            loss: Tensor = self._contrast(self._given(batch), truths, places, state.step)
            return loss

    def update(self, loss: Tensor, rate: float) -> None:
        """Move the weights down the gradient of ``loss``; queue, running mean and step follow."""
        state = self._state
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self._config.optimizer.clip_norm:
            learned = [p for p in state.model.parameters() if p.requires_grad]
            torch.nn.utils.clip_grad_norm_(learned, self._config.optimizer.clip_norm)
        state.optimizer.step()
        state.queue.push(self._coordinates)
        state.step += 1
        if state.average is not None:
            state.average.update(state.model, state.step)

    def ids(self, batch: Batch | TrainingBatch) -> list[str]:
        """The photos of a batch; of cached features those that are no finite numbers, where that is why."""
        if isinstance(batch, Batch):
            return [f"view {i} of step {self._state.step}" for i in range(len(batch.coordinates))]
        if batch.given.dtype.kind == "f":
            bad = ~np.isfinite(batch.given).all(axis=1)
            if bad.any():
                return [f"{batch.ids[i]} (its feature is not finite)" for i in np.flatnonzero(bad)]
        broken = [name for name, tensor in own_weights(self._state.model).items() if not tensor.isfinite().all()]
        return batch.ids if not broken else [f"weights that are not finite ({broken[0]})", *batch.ids]

    def close(self) -> None:
        """End the processes that make batches."""
        self.batches.close()

    def _given(self, batch: Batch | TrainingBatch) -> Tensor:
        if isinstance(batch, Batch):
            return to_tensor(batch.pixels).to(self._ranks.device)
        if self._preprocessing is not None:
            pixels = to_tensor(batch.given, self._preprocessing.mean, self._preprocessing.std)
            return pixels.to(self._ranks.device)
        return torch.from_numpy(batch.given).to(self._ranks.device)
