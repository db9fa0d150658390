"""One process or many: who this process is, on what it computes, and what they tell one another.

Under ``torchrun`` each process takes its share of every batch. They exchange coordinates, which are small, and draw
the same noise, so that all have the same candidates and the mean of their gradients is that of one process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

from earthclip.errors import ConfigError
from earthclip.training.config import TrainingConfig


@dataclass(frozen=True)
class Ranks:
    """This process among ``world``."""

    rank: int = 0
    world: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - immutable

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes files and says things."""
        return self.rank == 0

    def gather(self, coordinates: Float[np.ndarray, "b 2"]) -> Float[Tensor, "n 2"]:
        """The coordinates of the whole batch, degrees in float64, in the order of the ranks."""
        own = torch.from_numpy(np.ascontiguousarray(coordinates, np.float64))
        if self.world == 1:
            return own
        parts = [torch.empty_like(own, device=self.device) for _ in range(self.world)]
        distributed.all_gather(parts, own.to(self.device))
        return torch.cat(parts).cpu()

    def any(self, mine: bool) -> bool:
        """Whether it holds for one of the processes."""
        if self.world == 1:
            return mine
        flag = torch.tensor([int(mine)], device=self.device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag.item())

    def mean(self, value: float) -> float:
        """The mean of the processes' values."""
        if self.world == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return total.item() / self.world

    def average_gradients(self, model: nn.Module) -> None:
        """Replace each gradient by the mean of the processes'; parameters without one are passed over."""
        if self.world == 1:
            return
        for parameter in model.parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= self.world

    def wait(self) -> None:
        """Until all are here."""
        if self.world > 1:
            distributed.barrier()


@contextlib.contextmanager
def joined(config: TrainingConfig) -> Iterator[Ranks]:
    """This process's place among those ``torchrun`` started, alone without it.

    Raises ConfigError when the batch cannot be shared out evenly or the device is not there.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if config.batch_size % world:
        raise ConfigError(f"batch_size must be a multiple of the {world} processes, found {config.batch_size}")
    cuda = torch.cuda.is_available()
    if config.device == "cuda" and not cuda:
        raise ConfigError("device is 'cuda', and torch finds none here; set device to 'auto' or 'cpu'")
    device = torch.device("cpu")
    if cuda and config.device != "cpu":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if world == 1:
        yield Ranks(device=device)
        return
    backend = config.backend
    if backend == "auto":
        backend = "nccl" if device.type == "cuda" else "gloo"
    if backend == "nccl" and device.type != "cuda":
        raise ConfigError("backend nccl is for device cuda, and torch finds none here; set backend to 'auto' or 'gloo'")
    distributed.init_process_group(backend)
    try:
        yield Ranks(rank, world, device)
    finally:
        distributed.destroy_process_group()


@contextlib.contextmanager
def subnormals_as_zero() -> Iterator[None]:
    """Inside, torch takes numbers below 1.2e-38 for 0: squares of small gradients are that, and slow."""
    kept = bool((torch.full((1,), 1e-40) / 2).any())  # torch does not tell what was set
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(not kept)
