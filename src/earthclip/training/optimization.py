"""The optimiser, its schedule, the running mean of the weights, and the precision of matrix products."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.config import OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """The rate of ``step`` (from 0): linear warm-up, then half a cosine to zero, or a drop at regular steps."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "step":
        return float(config.learning_rate * config.step_gamma ** (step // config.step_every))
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def make_optimizer(model: GeoCLIP, config: OptimizerConfig) -> torch.optim.Optimizer:
    """AdamW with decay of the matrices alone, or Adam with decay of all as in the paper; frozen weights stay out."""
    learned = [p for p in model.parameters() if p.requires_grad]
    if config.kind == "adam":
        return torch.optim.Adam(learned, lr=config.learning_rate, weight_decay=config.weight_decay)
    # Decay is for the matrices: it would pull biases, norms and the temperature for no gain.
    matrices = [p for p in learned if p.ndim > 1]
    others = [p for p in learned if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)


def precision_of(wanted: str, device: torch.device) -> torch.dtype:
    """The type of matrix products on ``device``; ``auto`` is bfloat16 where the processor computes in it."""
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported()
    else:
        has_bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has_bfloat16 else torch.float32


class WeightAverage:
    """Running mean of the learned weights; norms' statistics stay the model's own."""

    def __init__(self, model: GeoCLIP, decay: float) -> None:
        self._decay = decay
        learned = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.weights = {name: tensor.clone() for name, tensor in model.own_weights().items() if name in learned}

    @torch.no_grad()
    def update(self, model: GeoCLIP, step: int) -> None:
        """Take in the weights after ``step`` steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        own = model.own_weights()
        torch._foreach_lerp_(list(self.weights.values()), [own[name] for name in self.weights], 1 - decay)

    def restore(self, weights: dict[str, Tensor]) -> None:
        """Take back what was kept; KeyError when some are missing."""
        for name, tensor in self.weights.items():
            tensor.copy_(weights[name])

    @contextlib.contextmanager
    def in_use(self, model: GeoCLIP) -> Iterator[None]:
        """``model`` with the averages, and with its own weights again afterwards."""
        everything = model.own_weights()
        own = {name: everything[name].clone() for name in self.weights}
        model.load_own_weights(everything | self.weights, "the averages are another model's")
        try:
            yield
        finally:
            model.load_own_weights(everything | own, "the weights are another model's")
